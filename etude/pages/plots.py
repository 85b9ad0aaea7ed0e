"""Charts as markup: lines, bars, histograms, and takes over a distribution.

Curves are SVG that stretches with the page; words and numbers are HTML, so that they keep their size on a
narrow screen. Hovering or the arrow keys show values; without JavaScript charts are complete but still. The
document must hold ``text.styles()`` and, for values on hover, ``text.scripts("plots.js")``.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from etude.pages.axes import Scale, grid, legend, rounded, svg, ticks
from etude.pages.roll import NUM_HUES
from etude.pages.text import Html, json_attribute, markup, number

_MOST_POINTS, _FIRST_POINTS = 400, 40
_Line = tuple[np.ndarray, np.ndarray]


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
        series: x and y values by the name of each line; x in rising order. Values that are not finite are
            left out; of more than 400 points neighbours are averaged.
        x_label: what x is, with its unit.
        y_label: what y is, with its unit.
        baselines: levels drawn across the chart, by name.
        log_x: a logarithmic x axis, on which everything up to 1 is at the left edge.
        height: pixels of the plotting area.

    Raises:
        ValueError: no line has a finite point.
    """
    levels = dict(baselines or {})
    lines = {name: _thinned(*_finite(xs, ys)) for name, (xs, ys) in series.items()}
    lines = {name: line for name, line in lines.items() if len(line[0])}
    if not lines:
        raise ValueError("series: expected at least one line with a finite point")
    x_scale = Scale.around([x for x, _ in lines.values()], log=log_x)
    y_scale = Scale.around([y for _, y in lines.values()] + [list(levels.values())], margin=0.06)
    hues = {name: f"t{i % NUM_HUES}" for i, name in enumerate([*lines, *levels])}
    values = [_values(name, line, hues[name], x_scale, y_scale) for name, line in lines.items()]
    shapes = grid(y_scale) + "".join(_level(level, hues[name], y_scale) for name, level in levels.items())
    shapes += "".join(_curve(one) for one in values)
    shown = json_attribute({"series": values, "label": x_label, "digits": 3})
    return Html(
        f'<figure class="etude-plot"><figcaption>{markup(y_label)}</figcaption>{legend(lines, levels, hues)}'
        f'<div class="etude-axes"><div class="etude-area" style="--h:{height}px" tabindex="0" role="img" '
        f'aria-label="{markup(f"{y_label} by {x_label}: {_summary(lines, levels)}")}" data-plot="{shown}">'
        f"{svg(shapes)}</div>{ticks(x_scale, y_scale, x_label)}</div></figure>"
    )


def bar_chart(values: Mapping[str, float], *, unit: str = "", hues: Mapping[str, int] | None = None) -> Html:
    """Draw a bar for each name, from zero; in the first colour unless ``hues`` says another, 0 to 7.

    Raises:
        ValueError: a value is negative or not finite.
    """
    if any(not math.isfinite(value) or value < 0 for value in values.values()):
        raise ValueError(f"values = {dict(values)}: expected finite numbers, at least 0")
    most = max(values.values(), default=0) or 1
    rows = []
    for name, value in values.items():
        style = f"width:{100 * value / most:.1f}%;--c:var(--t{(hues or {}).get(name, 0) % NUM_HUES})"
        said = f"{number(float(value))} {unit}".strip()
        rows.append(
            f'<div><dt>{markup(name)}</dt><dd aria-hidden="true"><i style="{style}"></i></dd>'
            f"<dd>{markup(said)}</dd></div>"
        )
    return Html(f'<dl class="etude-bars">{"".join(rows)}</dl>')


def histogram(values: Sequence[float], *, title: str, num_bins: int = 30, height: int = 140) -> Html:
    """Draw how often values fall into equal bins; see ``strip_chart``."""
    return strip_chart(values, (), title=title, num_bins=num_bins, height=height)


def strip_chart(
    values: Sequence[float],
    takes: Sequence[float],
    *,
    title: str,
    num_bins: int = 30,
    height: int = 110,
) -> Html:
    """Draw a distribution as a histogram, and single values as dots on its ground line.

    Args:
        values: the distribution; what is not finite is left out.
        takes: the single values.
        title: what the values are, with their unit.
        num_bins: equal bins over all values.
        height: pixels of the plotting area.

    Raises:
        ValueError: there is no finite value.
    """
    values, takes = (np.asarray(part, np.float64) for part in (values, takes))
    values, takes = values[np.isfinite(values)], takes[np.isfinite(takes)]
    if not len(values):
        raise ValueError("values: expected at least one finite number")
    scale = Scale.around([values, takes], margin=0.04)
    counts, edges = np.histogram(values, num_bins, (scale.low, scale.high))
    tops, rights = rounded(100 - 96 * counts / counts.max()), rounded(scale.percent(edges[1:]))
    steps = "".join(f"V{top}H{right}" for top, right in zip(tops.tolist(), rights.tolist(), strict=True))
    hill = f'<path d="M0 100{steps}V100Z" style="fill:var(--t0);fill-opacity:.26" stroke="var(--t0)"/>'
    dots = "".join(
        f'<i class="etude-take" style="left:{scale.percent(take):.1f}%" title="{number(take)}"></i>'
        for take in takes.tolist()
    )
    said = f"{title}: {_said(values, 'values')}" + (f"; {_said(takes, 'takes')}" if len(takes) else "")
    return Html(
        f'<figure class="etude-plot etude-strip"><figcaption>{markup(title)}</figcaption><div class="etude-axes">'
        f'<div class="etude-area" role="img" aria-label="{markup(said)}" style="--h:{height}px">{svg(hill)}{dots}'
        f"</div>{ticks(scale, None)}</div></figure>"
    )


def _values(name: str, line: _Line, hue: str, x_scale: Scale, y_scale: Scale) -> dict:
    """Return what ``plots.js`` shows of one line: places in percent, values as they are."""
    left, top = rounded(x_scale.percent(line[0])), rounded(100 - y_scale.percent(line[1]))
    return {
        "name": name,
        "color": hue,
        "left": left.tolist(),
        "top": top.tolist(),
        "x": rounded(line[0]).tolist(),
        "y": rounded(line[1], 4).tolist(),
    }


def _curve(values: dict) -> str:
    points = "L".join(f"{left} {top}" for left, top in zip(values["left"], values["top"], strict=True))
    style = 'stroke-width="2" stroke-linejoin="round" stroke-linecap="round"'
    return f'<path d="M{points}" stroke="var(--{values["color"]})" {style}/>'


def _level(level: float, hue: str, y_scale: Scale) -> str:
    y = rounded(100 - y_scale.percent(level))
    style = 'stroke-width="1.5" stroke-dasharray="5 4"'
    return f'<line x1="0" x2="100" y1="{y}" y2="{y}" stroke="var(--{hue})" {style}/>'


def _summary(lines: Mapping[str, _Line], levels: Mapping[str, float]) -> str:
    curves = [f"{name} from {number(float(y[0]))} to {number(float(y[-1]))}" for name, (_, y) in lines.items()]
    return "; ".join(curves + [f"{name} {number(float(level))}" for name, level in levels.items()])


def _said(values: np.ndarray, what: str) -> str:
    low, mean, high = (number(float(value)) for value in (values.min(), values.mean(), values.max()))
    return f"{len(values)} {what} from {low} to {high}, mean {mean}"


def _finite(xs: Sequence[float], ys: Sequence[float]) -> _Line:
    xs, ys = np.asarray(xs, np.float64), np.asarray(ys, np.float64)
    kept = np.isfinite(xs) & np.isfinite(ys)
    return xs[kept], ys[kept]


def _thinned(xs: np.ndarray, ys: np.ndarray) -> _Line:
    """Average neighbours, so that no line has more points than a page has pixels."""
    if len(xs) <= _MOST_POINTS:
        return xs, ys
    # a loss falls fastest at first: those points stay one by one
    rest = np.linspace(_FIRST_POINTS, len(xs) - 1, _MOST_POINTS - _FIRST_POINTS).astype(int)
    first = np.concatenate([np.arange(_FIRST_POINTS), rest])
    counts = np.diff(np.append(first, len(xs)))
    return xs[first], np.add.reduceat(ys, first) / counts
