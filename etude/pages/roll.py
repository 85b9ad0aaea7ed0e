"""Piano rolls: the data that the script on a page draws, and a picture that needs no script.

Pitch goes up, time goes right; colour is the track, opacity the velocity. Bars are drawn where the Score has
a time signature: elsewhere they would only be guessed.
"""

import base64
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from etude.music.score import Score
from etude.music.timing import bar_starts
from etude.pages.text import Html, clock, json_attribute, markup

SUSTAIN_PEDAL = 64
_NUM_HUES = 8
# the colours of style.css, for pictures that stand alone: (light, dark)
_HUES = (
    ("#2d5bc4", "#86aaff"),
    ("#c4500f", "#ffa06b"),
    ("#0d8066", "#54d3b0"),
    ("#a12a7e", "#f191d3"),
    ("#866800", "#e3c254"),
    ("#5d42b5", "#b7a0ff"),
    ("#b0283b", "#ff8b98"),
    ("#1a7896", "#6accea"),
)
_INKS = {
    "sheet": ("#fff", "#1b1e24"),
    "key": ("#f5f2ea", "#171a1f"),
    "line": ("#e5e0d5", "#30343d"),
    "soft": ("#5d626e", "#a3a8b4"),
}
_FAMILIES = (
    "piano", "chromatic percussion", "organ", "guitar", "bass", "strings", "ensemble", "brass",
    "reed", "pipe", "synth lead", "synth pad", "synth effects", "ethnic", "percussive", "sound effects",
)  # fmt: skip
_LEAST_SEMITONES = 24
_VELOCITY_LEVELS = 6
_ROW_PX, _LEAST_PX, _MOST_PX = 5, 150, 320


@dataclass(frozen=True)
class Roll:
    """A Score measured for drawing: times in whole milliseconds, pitches with a margin."""

    score: Score

    @cached_property
    def onset_ms(self) -> np.ndarray:
        """Onset of each note, int64."""
        return _ms(self.score.onset_sec)

    @cached_property
    def duration_ms(self) -> np.ndarray:
        """Length of each note, int64."""
        return _ms(self.score.offset_sec) - self.onset_ms

    @cached_property
    def end_ms(self) -> int:
        """End of the last note, at least 1."""
        return max(1, int(_ms(self.score.duration_sec)))

    @cached_property
    def pitches(self) -> tuple[int, int]:
        """Lowest and highest row, two octaves apart or more."""
        pitch = self.score.notes.pitch
        low, high = (int(pitch.min()) - 2, int(pitch.max()) + 2) if len(pitch) else (60, 72)
        missing = max(0, _LEAST_SEMITONES - (high - low))
        return max(0, low - missing // 2), min(127, high + (missing + 1) // 2)

    @cached_property
    def bars_ms(self) -> np.ndarray:
        """Beginnings of the bars; none where the Score has no time signature."""
        if not len(self.score.time_signatures):
            return np.zeros(0, np.int64)
        return _ms(self.score.tempo_map.tick_to_sec(bar_starts(self.score)))

    @cached_property
    def pedal(self) -> tuple[np.ndarray, np.ndarray]:
        """Times and values of the sustain pedal, of the track that uses it most."""
        controls = self.score.controls
        rows = np.flatnonzero(controls.number == SUSTAIN_PEDAL)
        if len(rows):
            rows = rows[controls.track[rows] == np.bincount(controls.track[rows]).argmax()]
        time = np.clip(_ms(self.score.tempo_map.tick_to_sec(controls.tick[rows])), 0, self.end_ms)
        return time, controls.value[rows]

    @cached_property
    def track_names(self) -> list[str]:
        """What each track is called: its own name, else its instrument."""
        return [
            track.name.strip() or ("drums" if track.is_drum else _FAMILIES[track.program // 8])
            for track in self.score.tracks
        ]

    @property
    def height_px(self) -> int:
        """A height that suits the range of pitches."""
        low, high = self.pitches
        return int(np.clip((high - low + 1) * _ROW_PX, _LEAST_PX, _MOST_PX)) + (
            56 if len(self.pedal[0]) else 40
        )

    @property
    def description(self) -> str:
        """One line that says what is to be seen."""
        count = len(self.score.notes)
        if not count:
            return "no notes"
        pitch = self.score.notes.pitch
        tracks = len(np.unique(self.score.notes.track))
        parts = [f"{count:,} note{'s' * (count != 1)}", clock(self.end_ms / 1000)]
        parts += [f"{pitch_name(int(pitch.min()))} to {pitch_name(int(pitch.max()))}"]
        return ", ".join(parts + ([f"{tracks} tracks"] if tracks > 1 else []))

    def attribute(self) -> str:
        """Return what ``roll.js`` draws, as a quoted JSON attribute."""
        notes, (pedal_ms, pedal_value) = self.score.notes, self.pedal
        tracks = zip(self.track_names, self.score.tracks, strict=True)
        low, high = self.pitches
        return json_attribute(
            {
                "end": self.end_ms,
                "low": low,
                "high": high,
                "height": self.height_px,
                "count": len(notes),
                "notes": _packed(
                    [self.onset_ms, self.duration_ms], [notes.pitch, notes.velocity, notes.track]
                ),
                "pedals": len(pedal_ms),
                "pedal": _packed([pedal_ms], [pedal_value]),
                "bars": self.bars_ms.tolist(),
                "tracks": [{"name": name, "program": t.program, "drum": t.is_drum} for name, t in tracks],
            }
        )


def pitch_name(pitch: int) -> str:
    """Return the name of a MIDI pitch.

    Example:
        >>> pitch_name(60), pitch_name(70)
        ('C4', 'B♭4')
    """
    return ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")[pitch % 12] + str(
        pitch // 12 - 1
    )


def legend(roll: Roll) -> Html:
    """Return a chip for each track that has notes; nothing where there is only one."""
    used = np.unique(roll.score.notes.track).tolist()
    if len(used) < 2:
        return Html("")
    chips = [
        f'<span class="etude-chip"><i style="--c:var(--t{track % _NUM_HUES})"></i>{markup(roll.track_names[track])}</span>'
        for track in used
    ]
    return Html("".join(chips))


def roll_svg(
    score: Score, *, width: int = 960, height: int | None = None, title: str = "", scheme: str = "auto"
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
    head = 26 if title else 0
    height = (height or roll.height_px) + head
    frame = _Frame(roll, width=width, top=18 + head, bottom=height - 20 - (16 if len(roll.pedal[0]) else 0))
    parts = [
        f'<rect class="sheet" width="{width}" height="{height}" rx="8"/>',
        f'<text x="12" y="24" class="title">{markup(title)}</text>' if title else "",
        frame.rows(),
        frame.times(height),
        frame.notes(),
        frame.pedal(),
    ]
    name = f"Piano roll{f' of {title}' if title else ''}: {roll.description}"
    return Html(
        f'<svg class="etude-roll" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{markup(name)}"><style>{_style(scheme)}</style>{"".join(parts)}</svg>'
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
            parts.append(
                f'<text x="{self.left - 6}" y="{y + 3.5:.1f}" text-anchor="end">C{pitch // 12 - 1}</text>'
            )
        return "".join(parts)

    def times(self, height: int) -> str:
        parts, bars = [], self.roll.bars_ms
        every = max(1, -(-len(bars) * 28 // self.width))
        for bar in range(0, len(bars), every):
            x = self.x(bars[bar])
            parts.append(f'<path class="line" d="M{x:.1f} {self.top - 12}V{self.bottom}"/>')
            parts.append(f'<text x="{x + 4:.1f}" y="{self.top - 5}">{bar + 1}</text>')
        steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800)
        step = next((s for s in steps if self.roll.end_ms / 1000 / s <= self.width / 60), 3600) * 1000
        for ms in range(0, self.roll.end_ms + 1, step):
            x = self.x(ms)
            parts.append(
                f'<path class="line" d="M{x:.1f} {self.bottom if len(bars) else self.top}V{self.bottom + 5}"/>'
            )
            if x < self.width - 22:
                parts.append(f'<text x="{x + 2:.1f}" y="{height - 6}">{clock(ms / 1000)}</text>')
        return "".join(parts)

    def notes(self) -> str:
        """Return one path for each track and level of velocity: a picture of many notes stays small."""
        notes = self.roll.score.notes
        x, y = self.x(self.roll.onset_ms), self.y(notes.pitch)
        length = np.maximum(1.5, self.x(self.roll.onset_ms + self.roll.duration_ms) - x - 0.6)
        level = np.minimum(notes.velocity * _VELOCITY_LEVELS // 128, _VELOCITY_LEVELS - 1)
        group = notes.track % _NUM_HUES * _VELOCITY_LEVELS + level
        parts = []
        for value in np.unique(group).tolist():
            hue, loud = divmod(value, _VELOCITY_LEVELS)
            rows = np.flatnonzero(group == value)
            moves = zip(x[rows].tolist(), y[rows].tolist(), length[rows].tolist(), strict=True)
            path = "".join(f"M{a:.1f} {b:.1f}h{c:.1f}" for a, b, c in moves)
            opacity = 0.4 + 0.6 * (loud + 0.5) / _VELOCITY_LEVELS
            parts.append(f'<path class="t{hue}" stroke-opacity="{opacity:.2f}" d="{path}"/>')
        return f'<g stroke-width="{max(1.6, self.row - 0.6):.2f}">{"".join(parts)}</g>'

    def pedal(self) -> str:
        time, value = self.roll.pedal
        if not len(time):
            return ""
        base = self.bottom + 14
        moves = zip(self.x(time).tolist(), (base - value * (10 / 127)).tolist(), strict=True)
        path = (
            f"M{self.left} {base}"
            + "".join(f"H{x:.1f}V{y:.1f}" for x, y in moves)
            + f"H{self.width - 8}V{base}Z"
        )
        label = f'<text x="{self.left - 6}" y="{base}" text-anchor="end">ped.</text>'
        return f'<path class="pedal" d="{path}"/>{label}'


def _style(scheme: str) -> str:
    """Return rules for one roll picture; two pictures in one document share them without harm."""

    def inks(which: int) -> str:
        pairs = {name: pair[which] for name, pair in _INKS.items()} | {
            f"t{i}": pair[which] for i, pair in enumerate(_HUES)
        }
        return ".etude-roll{" + "".join(f"--r-{name}:{color};" for name, color in pairs.items()) + "}"

    rules = inks(scheme == "dark")
    if scheme == "auto":
        rules += "@media(prefers-color-scheme:dark){" + inks(1) + "}"
    hues = "".join(f".etude-roll .t{i}{{stroke:var(--r-t{i});}}" for i in range(_NUM_HUES))
    return (
        rules + hues + ".etude-roll text{font:10px system-ui,sans-serif;fill:var(--r-soft);}"
        ".etude-roll .title{font:600 14px system-ui,sans-serif;}.etude-roll path{fill:none;}"
        ".etude-roll .sheet{fill:var(--r-sheet);}.etude-roll .key{stroke:var(--r-key);}"
        ".etude-roll .line{stroke:var(--r-line);}.etude-roll .pedal{fill:var(--r-soft);fill-opacity:.45;}"
    )


def _ms(sec: np.ndarray | float) -> np.ndarray:
    return np.rint(np.asarray(sec) * 1000).astype(np.int64)


def _packed(wide: list[np.ndarray], narrow: list[np.ndarray]) -> str:
    """Return columns one after the other in base64: 32 bits little-endian, then bytes."""
    parts = [column.astype("<u4").tobytes() for column in wide]
    # more than 256 tracks only share colours sooner
    parts += [(column % 256).astype(np.uint8).tobytes() for column in narrow]
    return base64.b64encode(b"".join(parts)).decode()
