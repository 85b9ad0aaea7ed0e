"""Piano rolls as pictures: SVG that needs no script, for a README, a paper, or a page before its script runs."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from etude.music.score import Score
from etude.pages.roll import NUM_HUES, Roll
from etude.pages.text import Html, clock, markup

_VELOCITY_LEVELS = 6
_PEDAL_PX, _AXIS_PX, _BARS_PX, _TITLE_PX = 16, 20, 18, 26
# the colours of style.css, for pictures that stand alone: (light, dark)
_COLOURS = {
    "sheet": ("#fff", "#1b1e24"),
    "key": ("#f8f6f0", "#171a1f"),
    "line": ("#e5e0d5", "#30343d"),
    "ink": ("#22252b", "#e8e6e1"),
    "soft": ("#5d626e", "#a3a8b4"),
    "t0": ("#2d5bc4", "#86aaff"),
    "t1": ("#c4500f", "#ffa06b"),
    "t2": ("#0d8066", "#54d3b0"),
    "t3": ("#a12a7e", "#f191d3"),
    "t4": ("#866800", "#e3c254"),
    "t5": ("#5d42b5", "#b7a0ff"),
    "t6": ("#b0283b", "#ff8b98"),
    "t7": ("#1a7896", "#6accea"),
}
_TIME_STEPS_SEC = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


def roll_svg(
    score: Score,
    *,
    width: int = 960,
    height: int | None = None,
    title: str = "",
    scheme: Literal["auto", "light", "dark"] = "auto",
) -> Html:
    """Return a Score's piano roll as a picture that needs no script.

    Args:
        score: what to draw.
        width: pixels.
        height: pixels; by default what suits the range of pitches.
        title: one line above the roll, also its name for screen readers.
        scheme: "light", "dark", or "auto" for the reader's own.

    Raises:
        ValueError: the scheme is none of the three.

    Example:
        >>> svg = roll_svg(Score.of([0, 480], [480, 480], [60, 64]), title="Two notes")
        >>> svg.startswith("<svg") and "Two notes" in svg
        True
    """
    if scheme not in {"auto", "light", "dark"}:
        raise ValueError(f"scheme = {scheme!r}: expected 'auto', 'light' or 'dark'")
    roll = Roll(score)
    head = _TITLE_PX if title else 0
    height = (height or roll.height_px) + head
    foot = _AXIS_PX + (_PEDAL_PX if len(roll.pedal[0]) else 0)
    frame = _Frame(roll, width=width, top=_BARS_PX + head, bottom=height - foot)
    heading = f'<text x="12" y="24" class="title">{markup(title)}</text>' if title else ""
    parts = [frame.rows(), frame.bars(), frame.seconds(height), frame.notes(), frame.pedal()]
    name = f"Piano roll{f' of {title}' if title else ''}: {roll.description}"
    return Html(
        f'<svg class="etude-roll etude-{scheme}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{markup(name)}"><style>{_style(scheme)}</style>'
        f'<rect class="sheet" width="{width}" height="{height}" rx="8"/>{heading}{"".join(parts)}</svg>'
    )


@dataclass(frozen=True)
class _Frame:
    """Where milliseconds and pitches are on a picture."""

    roll: Roll
    width: int
    top: int
    bottom: int
    left: int = 34

    def x(self, ms: np.ndarray) -> np.ndarray:
        return self.left + np.asarray(ms) * ((self.width - self.left - 8) / self.roll.end_ms)

    @property
    def row(self) -> float:
        low, high = self.roll.pitches
        return (self.bottom - self.top) / (high - low + 1)

    def y(self, pitch: np.ndarray) -> np.ndarray:
        """Return the middle of a pitch's row."""
        return self.top + (self.roll.pitches[1] - pitch + 0.5) * self.row

    def rows(self) -> str:
        low, high = self.roll.pitches
        right = self.width - 8
        black = [p for p in range(low, high + 1) if p % 12 in (1, 3, 6, 8, 10)]
        path = "".join(f"M{self.left} {self.y(p):.1f}H{right}" for p in black)
        parts = [f'<path class="key" stroke-width="{self.row:.2f}" d="{path}"/>']
        for pitch in range(-(-low // 12) * 12, high + 1, 12):
            y = self.y(pitch)
            parts.append(f'<path class="line" d="M{self.left} {y + self.row / 2:.1f}H{right}"/>')
            parts.append(f'<text x="{self.left - 6}" y="{y + 3.5:.1f}" text-anchor="end">C{pitch // 12 - 1}</text>')
        return "".join(parts)

    def bars(self) -> str:
        parts, bars = [], self.roll.bars_ms
        every = max(1, -(-len(bars) * 28 // self.width))
        for bar in range(0, len(bars), every):
            x = self.x(bars[bar])
            parts.append(f'<path class="line" d="M{x:.1f} {self.top - 12}V{self.bottom}"/>')
            if x < self.width - 24:
                parts.append(f'<text x="{x + 4:.1f}" y="{self.top - 5}">{bar + 1}</text>')
        return "".join(parts)

    def seconds(self, height: int) -> str:
        """Return the axis; its lines cross the roll where there are no bars."""
        parts, top = [], self.bottom if len(self.roll.bars_ms) else self.top
        fits = [s for s in _TIME_STEPS_SEC if self.roll.end_ms / 1000 / s <= self.width / 60]
        step = 1000 * (fits or _TIME_STEPS_SEC[-1:])[0]
        for ms in range(0, self.roll.end_ms + 1, step):
            x = self.x(ms)
            parts.append(f'<path class="line" d="M{x:.1f} {top}V{self.bottom + 5}"/>')
            if x < self.width - 26:
                parts.append(f'<text x="{x + 2:.1f}" y="{height - 6}">{clock(ms / 1000)}</text>')
        return "".join(parts)

    def notes(self) -> str:
        """Return one path for each track and level of velocity: a picture of many notes stays small."""
        notes = self.roll.score.notes
        x, y = self.x(self.roll.onset_ms), self.y(notes.pitch)
        length = np.maximum(2.0, self.x(self.roll.onset_ms + self.roll.duration_ms) - x - 0.6)
        level = np.minimum(notes.velocity * _VELOCITY_LEVELS // 128, _VELOCITY_LEVELS - 1)
        group = notes.track % NUM_HUES * _VELOCITY_LEVELS + level
        parts = []
        for value in np.unique(group).tolist():
            hue, loud = divmod(value, _VELOCITY_LEVELS)
            rows = np.flatnonzero(group == value)
            moves = zip(x[rows].tolist(), y[rows].tolist(), length[rows].tolist(), strict=True)
            path = "".join(f"M{a:.1f} {b:.1f}h{c:.1f}" for a, b, c in moves)
            opacity = 0.5 + 0.5 * (loud + 0.5) / _VELOCITY_LEVELS
            parts.append(f'<path class="t{hue}" stroke-opacity="{opacity:.2f}" d="{path}"/>')
        return f'<g stroke-width="{max(1.6, self.row - 0.6):.2f}">{"".join(parts)}</g>'

    def pedal(self) -> str:
        time, value = self.roll.pedal
        if not len(time):
            return ""
        base = self.bottom + 14
        moves = zip(self.x(time).tolist(), (base - value * (10 / 127)).tolist(), strict=True)
        path = f"M{self.left} {base}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in moves) + f"H{self.width - 8}V{base}Z"
        label = f'<text x="{self.left - 6}" y="{base}" text-anchor="end">ped.</text>'
        return f'<path class="pedal" d="{path}"/>{label}'


def _style(scheme: str) -> str:
    """Return the rules of one picture; pictures of one scheme in one document share them without harm."""

    def colours(which: int) -> str:
        return f".etude-{scheme}{{" + "".join(f"--r-{name}:{pair[which]};" for name, pair in _COLOURS.items()) + "}"

    rules = colours(int(scheme == "dark"))
    if scheme == "auto":
        rules += "@media(prefers-color-scheme:dark){" + colours(1) + "}"
    hues = "".join(f".etude-roll .t{i}{{stroke:var(--r-t{i});}}" for i in range(NUM_HUES))
    return (
        rules + hues + ".etude-roll text{font:10px system-ui,sans-serif;fill:var(--r-soft);}"
        ".etude-roll .title{font:600 14px system-ui,sans-serif;fill:var(--r-ink);}.etude-roll path{fill:none;}"
        ".etude-roll .sheet{fill:var(--r-sheet);}.etude-roll .key{stroke:var(--r-key);}"
        ".etude-roll .line{stroke:var(--r-line);}.etude-roll .pedal{fill:var(--r-soft);fill-opacity:.45;}"
    )
