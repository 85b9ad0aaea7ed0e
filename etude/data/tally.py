"""Errors counted, not kept: where millions of them lie, in memory that does not grow."""

from typing import Any

import numpy as np

_MOST_BINS_A_SIDE = 20
_SHOWN_PERCENT = 98


class Tally:
    """Counts of values rounded to a unit; values beyond a limit count as that limit.

    Example:
        >>> tally = Tally(unit=0.5, limit=10)
        >>> tally.add(np.array([-1.0, 0.1, 2.0, 30.0]))
        >>> found = tally.distribution()
        >>> found["count"], found["size"]
        (4, {'median': 1.0, 'p95': 10.0, 'max': 30.0})
    """

    def __init__(self, *, unit: float, limit: float) -> None:
        """Make room for every unit from minus the limit to the limit."""
        self._unit = unit
        self._side = round(limit / unit)
        self._counts = np.zeros(2 * self._side + 1, np.int64)
        self._sum, self._low, self._high = 0.0, np.inf, -np.inf

    def add(self, values: np.ndarray) -> None:
        """Count values, any number of them."""
        if not len(values):
            return
        self._sum += float(values.sum())
        self._low, self._high = min(self._low, float(values.min())), max(self._high, float(values.max()))
        steps = np.clip(np.rint(values / self._unit), -self._side, self._side).astype(np.int64)
        self._counts += np.bincount(steps + self._side, minlength=len(self._counts))

    def distribution(self) -> dict[str, Any]:
        """Return ``count, mean, min, median, max`` of the values, and ``size`` and ``histogram``.

        ``size`` has ``median, p95, max`` of the values without their signs; all shares are rounded to the unit. The
        bins of ``histogram`` have 0 in their middle and hold 98 of 100 values or more; ``beyond`` counts the others.
        """
        count = int(self._counts.sum())
        if not count:
            return {"count": 0}
        sizes = self._counts[self._side :].copy()
        sizes[1:] += self._counts[: self._side][::-1]
        low, high = _rounded(self._low), _rounded(self._high)
        return {
            "count": count,
            "mean": _rounded(self._sum / count),
            "min": low,
            "median": _rounded(self._at(self._counts, 50) - self._side * self._unit),
            "max": high,
            "size": {"median": self._at(sizes, 50), "p95": self._at(sizes, 95), "max": max(-low, high)},
            "histogram": self._histogram(round(self._at(sizes, _SHOWN_PERCENT) / self._unit)),
        }

    def _at(self, counts: np.ndarray, percent: float) -> float:
        total = np.cumsum(counts)
        return _rounded(float(np.searchsorted(total, total[-1] * percent / 100) * self._unit))

    def _histogram(self, reach: int) -> dict[str, Any]:
        width = max(1, -(-2 * reach // (2 * _MOST_BINS_A_SIDE + 1)))
        # an odd width, so that a bin has a unit in its middle
        width += 1 - width % 2
        a_side = max(1, -(-(reach - width // 2) // width))
        half = a_side * width + width // 2
        padded = np.pad(self._counts, max(0, half - self._side))
        middle = len(padded) // 2
        shown = padded[middle - half : middle + half + 1]
        edges = (np.arange(-a_side, a_side + 2) - 0.5) * width * self._unit
        counts = shown.reshape(-1, width).sum(axis=1)
        beyond = int(self._counts.sum() - counts.sum())
        return {
            "edges": [_rounded(edge) for edge in edges.tolist()],
            "counts": counts.tolist(),
            "log": False,
            "beyond": beyond,
        }


def _rounded(value: float) -> float:
    """Leave out digits that are rounding alone."""
    return round(value, 6)
