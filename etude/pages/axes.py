"""Axes of charts: values to percent of the plotting area, round numbers for ticks, legends.

The plotting area stretches with the page, so places in it are percent: 0 is left and, for y, the bottom.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from etude.pages.text import markup, number

_TICKS = 6


class Scale:
    """One axis, linear or logarithmic; on a logarithmic one everything up to 1 is at the edge.

    Example:
        >>> scale = Scale.around([[0.0, 50.0]])
        >>> float(scale.percent(25.0)), scale.ticks()
        (50.0, [0, 10, 20, 30, 40, 50])
    """

    def __init__(self, low: float, high: float, *, log: bool = False):
        """Span ``low`` to ``high``, which must differ."""
        self.low, self.high, self.log = low, high, log

    @classmethod
    def around(cls, columns: Sequence[Sequence[float]], *, log: bool = False, margin: float = 0.0) -> "Scale":
        """Span all values of all columns, and a margin as a share of that on both sides."""
        values = np.concatenate([np.asarray(column, np.float64) for column in columns])
        low, high = float(values.min()), float(values.max())
        if log:
            low, high = max(low, 1.0), max(high, 1.0)
        if high <= low:
            low, high = (low, 2 * low) if log else (low - 0.5, high + 0.5)
        more = margin * (high - low)
        return cls(low - more, high + more, log=log)

    def percent(self, values: np.ndarray | float) -> np.ndarray:
        """Return where values are, in percent of the axis."""
        values, low, high = np.asarray(values, np.float64), self.low, self.high
        if self.log:
            values, low, high = np.log(np.maximum(values, 1.0)), math.log(low), math.log(high)
        return 100 * (values - low) / (high - low)

    def ticks(self) -> list[float]:
        """Return about six round values within the axis."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            factors = (1, 2, 5) if len(powers) < 3 else (1,)
            return [f * 10**p for p in powers for f in factors if self.low <= f * 10**p <= self.high]
        raw = (self.high - self.low) / _TICKS
        size = 10.0 ** math.floor(math.log10(raw))
        step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        ticks = [step * i for i in range(first, last + 1)]
        return [int(tick) for tick in ticks] if step == int(step) else ticks


def grid(scale: Scale) -> str:
    """Return lines across the plotting area at the ticks of the y axis."""
    levels = (100 - scale.percent(tick) for tick in scale.ticks())
    return "".join(f'<line x1="0" x2="100" y1="{y:.2f}" y2="{y:.2f}" stroke="var(--grid)"/>' for y in levels)


def ticks(x_scale: Scale, y_scale: Scale | None, x_label: str = "") -> str:
    """Return the numbers beside the plotting area, and what x is."""
    parts = [
        f'<span class="etude-x" style="left:{x_scale.percent(tick):.2f}%">{_short(tick)}</span>'
        for tick in x_scale.ticks()
    ]
    for tick in y_scale.ticks() if y_scale else []:
        parts.append(f'<span class="etude-y" style="top:{100 - y_scale.percent(tick):.2f}%">{_short(tick)}</span>')
    parts.append(f'<span class="etude-xname">{markup(x_label)}</span>')
    return f'<div class="etude-ticks" aria-hidden="true">{"".join(parts)}</div>'


def legend(lines: Iterable[str], levels: Mapping[str, float], hues: Mapping[str, str]) -> str:
    """Return what the colours stand for; levels with their values."""
    chips = [f'<i style="--c:var(--{hues[name]})"></i>{markup(name)}' for name in lines]
    for name, level in levels.items():
        text = markup(f"{name} {number(float(level))}")
        chips.append(f'<i class="etude-dash" style="--c:var(--{hues[name]})"></i>{text}')
    spans = "".join(f'<span class="etude-chip">{chip}</span>' for chip in chips)
    return f'<div class="etude-legend">{spans}</div>'


def svg(inside: str) -> str:
    """Return shapes on an area of 100 by 100 that stretches as it must."""
    return f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{inside}</svg>'


def rounded(values: np.ndarray | float, digits: int = 2) -> np.ndarray:
    """Return values with as many digits as a screen can show."""
    return np.round(np.asarray(values, np.float64), digits)


def _short(value: float) -> str:
    return f"{value:,.6g}" if abs(value) < 10_000 else f"{value / 1000:,.6g}k"
