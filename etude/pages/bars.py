"""Charts of things that were counted already: columns, bars in parts, one bar for a whole.

The document must hold ``text.styles("bars.css")``. A column says its number when the pointer rests on it; what a chart
shows as a whole stands in its label for those who do not see it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from etude.pages.axes import Scale
from etude.pages.roll import NUM_HUES
from etude.pages.text import Html, markup, number

_FEW_COLUMNS = 48


def _short(value: float) -> str:
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


class Column(NamedTuple):
    """One column: how much, what to say of it, its colour 0 to 7, and whether it is set off from the one before."""

    value: float
    said: str
    hue: int = 0
    is_apart: bool = False


def column_chart(
    columns: Sequence[Column],
    *,
    title: str,
    note: str = "",
    ticks: Sequence[tuple[float, str]] = (),
    marks: Sequence[float] = (),
    height: int = 130,
) -> Html:
    """Draw columns side by side, as wide as the page allows.

    Args:
        columns: from left to right.
        title: what they count.
        note: a few words at the right of the title.
        ticks: places in percent of the width, and what stands below them.
        marks: places in percent at which a line rises, such as a median.
        height: pixels of the highest column.
    """
    most = max((column.value for column in columns), default=0) or 1
    parts = []
    for column in columns:
        apart = ' class="etude-apart"' if column.is_apart else ""
        style = f"height:{100 * column.value / most:.1f}%;--c:var(--t{column.hue % NUM_HUES})"
        parts.append(f'<i{apart} title="{markup(column.said)}"><b style="{style}"></b></i>')
    lines = "".join(f'<u style="left:{place:.2f}%"></u>' for place in marks)
    names = "".join(f'<span style="left:{place:.2f}%">{markup(name)}</span>' for place, name in ticks)
    kind = "etude-cols" + (" etude-many" if len(columns) > _FEW_COLUMNS else "")
    caption = f"<figcaption>{markup(title)}<small>{markup(note)}</small></figcaption>"
    rows = 1 + max((name.count("\n") for _, name in ticks), default=0)
    return Html(
        f'<figure class="etude-plot etude-counted">{caption}'
        f'<div class="{kind}" style="--h:{height}px" role="img" aria-label="{markup(f"{title}: {note or most}")}">'
        f'{"".join(parts)}{lines}</div><div class="etude-below" style="--rows:{rows}" aria-hidden="true">{names}</div>'
        "</figure>"
    )


def histogram_chart(
    distribution: Mapping[str, Any],
    *,
    title: str,
    shown: Callable[[float], str] = _short,
    ticks: Sequence[float] | None = None,
    hue: int = 0,
) -> Html:
    """Draw a distribution that was counted, with a line at its median.

    Args:
        distribution: see ``etude.data.distribution``.
        title: what the values are, with their unit.
        shown: how a value reads.
        ticks: values that may stand below the axis; by default round numbers.
        hue: colour, 0 to 7.
    """
    counted = distribution["histogram"]
    edges, counts = counted["edges"], counted["counts"]
    scale = Scale(edges[0], edges[-1], log=counted["log"] and edges[0] >= 1)
    columns = [
        Column(count, f"{shown(low)} to {shown(high)}: {count:,}", hue)
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    known = scale.ticks() if ticks is None else [tick for tick in ticks if edges[0] <= tick <= edges[-1]]
    low, median, high = (shown(distribution[name]) for name in ("min", "median", "max"))
    note = f"{low} to {high}, median {median}" if low != high else f"all {median}"
    return column_chart(
        columns,
        title=title,
        note=note,
        ticks=_apart([(float(scale.percent(tick)), shown(tick)) for tick in known]),
        marks=[float(scale.percent(distribution["median"]))],
    )


def parted_bars(rows: Mapping[str, Mapping[str, float]], hues: Mapping[str, int]) -> Html:
    """Draw a bar for each name, in parts.

    Args:
        rows: by name, the amount of each part.
        hues: the colour of each part, in their order.
    """
    most = max((sum(parts.values()) for parts in rows.values()), default=0) or 1
    lines = []
    for name, parts in rows.items():
        said = ", ".join(f"{part} {number(parts[part])}".strip() for part in hues if parts.get(part))
        bars = "".join(
            f'<i style="width:{100 * parts[part] / most:.2f}%;--c:var(--t{hues[part]})"></i>'
            for part in hues
            if parts.get(part)
        )
        total = number(sum(parts.values()))
        lines.append(f'<div title="{markup(said)}"><dt>{markup(name)}</dt><dd>{bars}</dd><dd>{total}</dd></div>')
    return Html(f'<dl class="etude-bars etude-parted">{"".join(lines)}</dl>')


def count_bars(counts: Mapping[str, float], *, hue: int = 0) -> Html:
    """Draw a bar for each name."""
    return parted_bars({name: {"": count} for name, count in counts.items()}, {"": hue})


def whole_bar(parts: Mapping[str, float], hues: Mapping[str, int], *, title: str = "") -> Html:
    """Draw one bar as wide as the page, in parts, with their amounts and shares below."""
    total = sum(parts.values()) or 1
    kept = {name: value for name, value in parts.items() if value}
    bars = "".join(
        f'<i style="flex:{value} 0 3px;--c:var(--t{hues[name]})" title="{markup(f"{name}: {number(value)}")}"></i>'
        for name, value in kept.items()
    )
    chips = "".join(
        f'<span class="etude-chip"><i style="--c:var(--t{hues[name]})"></i>{markup(name)} '
        f"<b>{number(value)}</b> {value / total:.{0 if value / total > 0.1 else 1}%}</span>"
        for name, value in kept.items()
    )
    caption = f"<figcaption>{markup(title)}</figcaption>" if title else ""
    return Html(
        f'<figure class="etude-plot etude-whole">{caption}<div aria-hidden="true">{bars}</div>'
        f'<div class="etude-legend">{chips}</div></figure>'
    )


def chips(hues: Mapping[str, int]) -> Html:
    """Return what colours stand for."""
    parts = (
        f'<span class="etude-chip"><i style="--c:var(--t{hue})"></i>{markup(name)}</span>' for name, hue in hues.items()
    )
    return Html(f'<div class="etude-legend">{"".join(parts)}</div>')


def heading(text: str) -> Html:
    """Return the heading of a card."""
    return Html(f"<h3>{markup(text)}</h3>")


def masonry(parts: Iterable[str]) -> Html:
    """Return parts of different heights in two columns where there is room."""
    return Html(f'<div class="etude-masonry">{"".join(parts)}</div>')


def _apart(ticks: list[tuple[float, str]], least: float = 9.0) -> list[tuple[float, str]]:
    """Leave out what would stand on its neighbour."""
    kept: list[tuple[float, str]] = []
    for place, name in ticks:
        if not kept or place - kept[-1][0] >= least:
            kept.append((place, name))
    return kept
