"""Charts as markup: lines, bars, histograms, and takes over a distribution.

Curves are SVG that stretches with the page; words and numbers are HTML, so that they keep their size on a
narrow screen. Hovering or the arrow keys show values; without JavaScript the charts are complete but still.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from etude.pages.text import Html, json_attribute, markup, number

_MOST_POINTS = 400


def line_chart(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    baselines: Mapping[str, float] | None = None,
    log_x: bool = False,
    height: int = 280,
) -> Html:
    """Draw lines, with levels to compare them to.

    Args:
        series: x and y values by the name of each line; x in rising order. Values that are not finite are left
            out, and more than 400 points are averaged.
        x_label: what x is, with its unit.
        y_label: what y is, with its unit.
        baselines: levels drawn across the chart, by name.
        log_x: a logarithmic x axis, on which everything up to 1 is at the left edge.
        height: pixels of the plotting area.

    Raises:
        ValueError: no line has a finite point.
    """
    baselines = dict(baselines or {})
    lines = {name: _thinned(*_finite(xs, ys)) for name, (xs, ys) in series.items()}
    lines = {name: line for name, line in lines.items() if len(line[0])}
    if not lines:
        raise ValueError("series: expected at least one line with a finite point")
    x_scale = _Scale.around([x for x, _ in lines.values()], log=log_x)
    y_scale = _Scale.around([y for _, y in lines.values()] + [list(baselines.values())], margin=0.06)
    hues = {name: f"t{i % 8}" for i, name in enumerate([*lines, *baselines])}
    paths, shown = [], []
    for name, level in baselines.items():
        y = _round(100 - y_scale.percent(level))
        paths.append(
            f'<line x1="0" x2="100" y1="{y}" y2="{y}" stroke="var(--{hues[name]})" stroke-width="1.5" stroke-dasharray="5 4"/>'
        )
    for name, (xs, ys) in lines.items():
        left, top = _round(x_scale.percent(xs)).tolist(), _round(100 - y_scale.percent(ys)).tolist()
        path = "M" + "L".join(f"{a} {b}" for a, b in zip(left, top, strict=True))
        paths.append(
            f'<path d="{path}" stroke="var(--{hues[name]})" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"/>'
        )
        shown.append(
            {
                "name": name,
                "color": hues[name],
                "left": left,
                "top": top,
                "x": xs.tolist(),
                "y": _round(ys, 4).tolist(),
            }
        )
    summary = "; ".join(
        [f"{name} from {number(float(y[0]))} to {number(float(y[-1]))}" for name, (_, y) in lines.items()]
        + [f"{name} {number(level)}" for name, level in baselines.items()]
    )
    return Html(
        f'<figure class="etude-plot"><figcaption>{markup(y_label)}</figcaption>{_legend(lines, baselines, hues)}'
        f'<div class="etude-axes"><div class="etude-area" style="--h:{height}px" tabindex="0" role="img" '
        f'aria-label="{markup(f"{y_label} by {x_label}: {summary}")}" '
        f'data-plot="{json_attribute({"series": shown, "label": x_label, "digits": 3})}">'
        f"{_svg(_grid(y_scale) + ''.join(paths))}</div>{_ticks(x_scale, y_scale, x_label)}</div></figure>"
    )


def bar_chart(values: Mapping[str, float], *, unit: str = "", hues: Mapping[str, int] | None = None) -> Html:
    """Draw a bar for each name, from zero; bars of hue 0 unless told otherwise (0 to 7).

    Raises:
        ValueError: a value is negative or not finite.
    """
    if any(not math.isfinite(value) or value < 0 for value in values.values()):
        raise ValueError(f"values = {dict(values)}: expected finite numbers, at least 0")
    most = max(values.values(), default=0) or 1
    rows = [
        f'<div><dt>{markup(name)}</dt><dd aria-hidden="true"><i style="width:{100 * value / most:.1f}%;'
        f'--c:var(--t{(hues or {}).get(name, 0) % 8})"></i></dd><dd>{number(float(value))} {markup(unit)}</dd></div>'
        for name, value in values.items()
    ]
    return Html(f'<dl class="etude-bars">{"".join(rows)}</dl>')


def histogram(values: Sequence[float], *, x_label: str, num_bins: int = 30, height: int = 140) -> Html:
    """Draw how often values fall into equal bins.

    Raises:
        ValueError: there is no finite value.
    """
    return strip_chart(values, (), x_label=x_label, num_bins=num_bins, height=height)


def strip_chart(
    values: Sequence[float],
    takes: Sequence[float],
    *,
    x_label: str,
    num_bins: int = 30,
    height: int = 110,
) -> Html:
    """Draw a distribution, and single values as dots on its ground line.

    Args:
        values: the distribution, drawn as a histogram.
        takes: the single values.
        x_label: what the values are, with their unit.
        num_bins: equal bins from the least to the greatest value.
        height: pixels of the plotting area.

    Raises:
        ValueError: there is no finite value.
    """
    values, takes = (np.asarray(part, np.float64) for part in (values, takes))
    values, takes = values[np.isfinite(values)], takes[np.isfinite(takes)]
    if not len(values):
        raise ValueError("values: expected at least one finite number")
    scale = _Scale.around([values, takes], margin=0.04)
    counts, edges = np.histogram(values, num_bins, (scale.low, scale.high))
    tops = _round(100 - 96 * counts / counts.max())
    steps = "".join(
        f"V{top}H{_round(x)}" for top, x in zip(tops.tolist(), scale.percent(edges[1:]).tolist(), strict=True)
    )
    area = f'<path d="M0 100{steps}V100Z" style="fill:var(--t0);fill-opacity:.28" stroke="var(--t0)" stroke-width="1"/>'
    dots = "".join(
        f'<i class="etude-take" style="left:{x:.1f}%" title="{number(float(v))}"></i>'
        for x, v in zip(scale.percent(takes), takes, strict=True)
    )
    said = f"{x_label}: {len(values)} values from {number(float(values.min()))} to {number(float(values.max()))}, mean {number(float(values.mean()))}"
    if len(takes):
        said += f"; takes from {number(float(takes.min()))} to {number(float(takes.max()))}, mean {number(float(takes.mean()))}"
    return Html(
        f'<figure class="etude-plot"><div class="etude-axes" style="margin-left:0.6rem"><div class="etude-area" role="img" '
        f'aria-label="{markup(said)}" style="--h:{height}px">{_svg(area)}{dots}</div>{_ticks(scale, None, x_label)}</div></figure>'
    )


class _Scale:
    """Values to percent of the plotting area, and round numbers for its ticks."""

    def __init__(self, low: float, high: float, *, log: bool = False):
        self.low, self.high, self.log = low, high, log

    @classmethod
    def around(
        cls, columns: Sequence[Sequence[float]], *, log: bool = False, margin: float = 0.0
    ) -> "_Scale":
        values = np.concatenate([np.asarray(column, np.float64) for column in columns])
        low, high = float(values.min()), float(values.max())
        if log:
            low, high = max(low, 1.0), max(high, 1.0)
        if high <= low:
            low, high = (low, 2 * low) if log else (low - 0.5, high + 0.5)
        more = margin * (high - low)
        return cls(low - more, high + more, log=log)

    def percent(self, values: np.ndarray | float) -> np.ndarray:
        values, low, high = np.asarray(values, np.float64), self.low, self.high
        if self.log:
            values, low, high = np.log(np.maximum(values, 1.0)), math.log(low), math.log(high)
        return 100 * (values - low) / (high - low)

    def ticks(self) -> list[float]:
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            many = len(powers) < 3
            return [
                f * 10**p
                for p in powers
                for f in ((1, 2, 5) if many else (1,))
                if self.low <= f * 10**p <= self.high
            ]
        raw = (self.high - self.low) / 5
        size = 10 ** math.floor(math.log10(raw))
        step = next(size * f for f in (1, 2, 2.5, 5, 10) if size * f >= raw)
        return [
            step * i
            for i in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        ]


def _finite(xs: Sequence[float], ys: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    xs, ys = np.asarray(xs, np.float64), np.asarray(ys, np.float64)
    kept = np.isfinite(xs) & np.isfinite(ys)
    return xs[kept], ys[kept]


def _thinned(xs: np.ndarray, ys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average neighbours, so that no line has more points than a page has pixels; the last point stays."""
    if len(xs) <= _MOST_POINTS:
        return xs, ys
    # evenly by number on the whole, but the first points, where loss falls fastest, one by one
    edges = np.unique(
        np.r_[np.arange(40), np.linspace(40, len(xs) - 1, _MOST_POINTS - 40).astype(int), len(xs) - 1]
    )
    counts = np.diff(np.r_[edges, len(xs)])
    return xs[edges], np.add.reduceat(ys, edges) / counts


def _round(values: np.ndarray | float, digits: int = 2) -> np.ndarray:
    return np.round(np.asarray(values, np.float64), digits)


def _svg(inside: str) -> str:
    return f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{inside}</svg>'


def _grid(scale: _Scale) -> str:
    levels = [100 - scale.percent(tick) for tick in scale.ticks()]
    return "".join(f'<line x1="0" x2="100" y1="{y:.2f}" y2="{y:.2f}" stroke="var(--grid)"/>' for y in levels)


def _tick_text(value: float) -> str:
    return f"{value:,.6g}" if abs(value) < 10_000 else f"{value / 1000:,.6g}k"


def _ticks(x_scale: _Scale, y_scale: _Scale | None, x_label: str) -> str:
    parts = [
        f'<span class="etude-x" style="left:{x_scale.percent(t):.2f}%">{_tick_text(t)}</span>'
        for t in x_scale.ticks()
    ]
    if y_scale is not None:
        parts += [
            f'<span class="etude-y" style="top:{100 - y_scale.percent(t):.2f}%">{_tick_text(t)}</span>'
            for t in y_scale.ticks()
        ]
    return f'<div class="etude-ticks" aria-hidden="true">{"".join(parts)}<span class="etude-xname">{markup(x_label)}</span></div>'


def _legend(lines: Mapping, baselines: Mapping[str, float], hues: Mapping[str, str]) -> str:
    chips = [
        f'<span class="etude-chip"><i style="--c:var(--{hues[name]})"></i>{markup(name)}</span>'
        for name in lines
    ]
    chips += [
        f'<span class="etude-chip"><i class="etude-dash" style="--c:var(--{hues[name]})"></i>{markup(name)} {number(float(level))}</span>'
        for name, level in baselines.items()
    ]
    return f'<div class="etude-legend">{"".join(chips)}</div>'
