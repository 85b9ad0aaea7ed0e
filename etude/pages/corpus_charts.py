"""Charts on the page of a corpus: lengths, keys, tempo, metre, pitch, loudness, instruments, labels."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from etude.pages.bars import Column, chips, column_chart, count_bars, heading, histogram_chart, parted_bars
from etude.pages.report import columns, sheet
from etude.pages.roll import pitch_name
from etude.pages.text import Html, clock, markup

SPLIT_HUES = {"train": 0, "valid": 2, "test": 1}
_MOST_BARS, _MOST_METRES = 14, 8
_MAJOR_HUE, _MINOR_HUE, _PITCH_HUE, _VELOCITY_HUE, _TEMPO_HUE = 0, 3, 2, 5, 7
# along the circle of fifths, each major key beside the minor key of the same signature
_MAJORS = ("D♭", "A♭", "E♭", "B♭", "F", "C", "G", "D", "A", "E", "B", "F♯")
_MINORS = ("B♭", "F", "C", "G", "D", "A", "E", "B", "F♯", "C♯", "G♯", "E♭")
_SECONDS = (0.1, 0.5, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 2 * 3600, 6 * 3600, 24 * 3600)
_NOTES = tuple(factor * 10**power for power in range(7) for factor in (1, 2, 5))
_TEMPI = (20, 30, 40, 60, 80, 100, 120, 160, 200, 300, 400)


def size_charts(stats: Mapping[str, Any]) -> list[Html]:
    """Return how long, how dense and how full pieces are."""
    music = stats["music"]
    charts = [
        (stats["seconds"], "Length", {"shown": _time, "ticks": _SECONDS}),
        (stats["notes_per_piece"], "Notes in a piece", {"shown": _whole, "ticks": _NOTES, "hue": _PITCH_HUE}),
        (music["notes_per_sec"], "Notes a second", {"hue": _VELOCITY_HUE}),
        (music["polyphony"], "Notes that sound at once", {"hue": _TEMPO_HUE}),
    ]
    return [sheet(histogram_chart(values, title=title, **more)) for values, title, more in charts if values["count"]]


def sign_charts(music: Mapping[str, Any]) -> list[Html]:
    """Return keys, tempo and metre."""
    tempo = {"ticks": _TEMPI, "shown": _whole, "hue": _TEMPO_HUE}
    shown = histogram_chart(music["tempo_qpm"], title="Tempo, quarter notes a minute", **tempo)
    metres = most_of(music["metres"], _MOST_METRES)
    # drums alone have no key
    keys = [sheet(_keys(music["keys"]))] if any(music["keys"].values()) else []
    return [*keys, columns([sheet(shown), sheet(heading("Metre at the beginning"), count_bars(metres))])]


def _keys(keys: Mapping[str, int]) -> Html:
    found = []
    for major, minor in zip(_MAJORS, _MINORS, strict=True):
        for name, hue, apart in ((f"{major} major", _MAJOR_HUE, True), (f"{minor} minor", _MINOR_HUE, False)):
            found.append(Column(keys[name], f"{name}: {keys[name]:,}", hue, apart and bool(found)))
    ticks = [
        (100 * (place + 0.5) / 12, f"{major}\n{minor.lower()}")
        for place, (major, minor) in enumerate(zip(_MAJORS, _MINORS, strict=True))
    ]
    total = sum(keys.values()) or 1
    minor = sum(count for name, count in keys.items() if name.endswith("minor"))
    top = max(keys, key=lambda name: keys[name])
    chart = column_chart(
        found,
        title="Key, as the notes sound",
        note=f"most often {top}; {minor / total:.0%} minor",
        ticks=ticks,
        height=170,
    )
    return Html(chart + chips({"major, above": _MAJOR_HUE, "minor with the same signature, below": _MINOR_HUE}))


def sound_charts(music: Mapping[str, Any]) -> list[Html]:
    """Return pitch, loudness, instruments and what else there is."""
    families = {name.replace("_", " "): found["pieces"] for name, found in music["families"].items()}
    families = dict(sorted(families.items(), key=lambda item: -item[1]))
    with_it = {name: count for name, count in music["pieces_with"].items() if count}
    charts = [sheet(_pitches(music["pitch"])), sheet(_velocities(music["velocity"]))]
    charts.append(sheet(heading("Pieces in which a family of instruments plays"), count_bars(families)))
    charts.append(sheet(heading("Pieces with"), count_bars(with_it) if with_it else Html("<p>nothing of the kind</p>")))
    return [columns(charts)]


def _pitches(counts: Sequence[int]) -> Html:
    used = [pitch for pitch, count in enumerate(counts) if count]
    if not used:
        return Html(heading("Pitch") + "<p>Drums alone: they have no pitch.</p>")
    low, high = max(0, min(used) - 1), min(127, max(used) + 1)
    found = [Column(counts[p], f"{pitch_name(p)}: {counts[p]:,} notes", _PITCH_HUE) for p in range(low, high + 1)]
    ticks = [(100 * (p - low + 0.5) / len(found), pitch_name(p)) for p in range(-(-low // 12) * 12, high + 1, 12)]
    note = f"{pitch_name(used[0])} to {pitch_name(used[-1])}"
    return column_chart(found, title="Pitch, drums left out", note=note, ticks=ticks)


def _velocities(counts: Sequence[int]) -> Html:
    found = [Column(counts[v], f"{v}: {counts[v]:,} notes", _VELOCITY_HUE) for v in range(1, 128)]
    used = [v for v in range(1, 128) if counts[v]]
    note = f"{len(used)} of 127 values used" if used else ""
    ticks = [(100 * (v - 0.5) / 127, str(v)) for v in (1, 32, 64, 96, 127)]
    return column_chart(found, title="Velocity", note=note, ticks=ticks)


def label_charts(labels: Mapping[str, Any]) -> list[Html]:
    """Return bars by split for each label whose values come back."""
    charts = []
    for name, label in labels.items():
        if not is_class(label):
            continue
        rows = {row["value"]: {split: row[split] for split in SPLIT_HUES} for row in label["top"][:_MOST_BARS]}
        rest = label["values"] - len(rows)
        more = Html(f'<p class="etude-note">and {rest:,} more</p>') if rest > 0 else ""
        known = Html(f"<h3>{markup(name)}</h3>")
        charts.append(sheet(known, parted_bars(rows, SPLIT_HUES), more))
    return charts


def is_class(label: Mapping[str, Any]) -> bool:
    """Tell whether values come back often enough to be worth a chart: not titles, measurements or files."""
    values = [row["value"] for row in label["top"]]
    numbers = sum(value.replace(".", "", 1).isdigit() for value in values)
    if not values or (label["values"] > 20 and numbers > len(values) / 2):
        return False
    if sum(bool(re.search(r"\.\w{2,5}$", value)) for value in values) > len(values) / 2:
        return False
    return label["complete"] and (label["values"] <= 2 or 2 * label["values"] <= label["known"])


def most_of(counts: Mapping[str, int], most: int = _MOST_BARS) -> dict[str, int]:
    """Return the first of many, and the rest as one."""
    if len(counts) <= most:
        return dict(counts)
    shown = dict(list(counts.items())[: most - 1])
    return shown | {"others": sum(counts.values()) - sum(shown.values())}


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _time(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.3g} s"
    return clock(seconds) if seconds < 3600 else f"{seconds / 3600:.3g} h"
