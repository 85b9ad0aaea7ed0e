"""A column of numbers as people want to see it: where it lies, and how it is spread."""

from collections.abc import Iterable
from typing import Any

import numpy as np

_SHARES = {"p5": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95}
_BINS = 36
_OUTLIERS_PERCENT = 0.5


def distribution(values: Iterable[float], *, log: bool = False, bins: int = _BINS) -> dict[str, Any]:
    """Return where values lie and a histogram of them.

    Args:
        values: what is not finite is left out.
        log: bins of equal ratio, for values above 0.
        bins: how many.

    Returns:
        ``count, total, mean, min, p5, p25, median, p75, p95, max`` and ``histogram`` with ``edges``, one more than
        ``counts``, ``log``, and ``beyond``: the values above the last edge, at most one in 200, which would squeeze
        all others into the first bins. Without values only ``count`` is there.

    Example:
        >>> shown = distribution([1.0, 2.0, 3.0], bins=2)
        >>> shown["median"], shown["histogram"]["counts"]
        (2.0, [1, 2])
    """
    values = np.asarray(values if isinstance(values, np.ndarray) else list(values), np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return {"count": 0}
    shares = dict(zip(_SHARES, np.percentile(values, list(_SHARES.values())).tolist(), strict=True))
    summary = {"count": len(values), "total": float(values.sum()), "mean": float(values.mean())}
    summary |= {"min": float(values.min())} | shares | {"max": float(values.max())}
    return summary | {"histogram": _histogram(values, log=log, bins=bins)}


def _histogram(values: np.ndarray, *, log: bool, bins: int) -> dict[str, Any]:
    low, high = float(values.min()), float(values.max())
    if not log and len(values) > 200:
        high = float(np.percentile(values, 100 - _OUTLIERS_PERCENT))
    log = log and low > 0
    # values that rounding alone tells apart are one, and leave no room for edges between them
    if high - low <= 1e-9 * abs(high):
        low, high = (low / 1.5, low * 1.5) if log else (low - 0.5, low + 0.5)
    edges = np.geomspace(low, high, bins + 1) if log else np.linspace(low, high, bins + 1)
    # or rounding could leave the smallest and largest outside
    edges[0], edges[-1] = low, high
    counts, _ = np.histogram(values, edges)
    return {"edges": edges.tolist(), "counts": counts.tolist(), "log": log, "beyond": int((values > high).sum())}
