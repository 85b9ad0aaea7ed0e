"""Piano rolls: a Score measured for drawing, as the script of a page or ``picture.py`` does it.

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
NUM_HUES = 8
_FAMILIES = (
    "piano", "chromatic percussion", "organ", "guitar", "bass", "strings", "ensemble", "brass",
    "reed", "pipe", "synth lead", "synth pad", "synth effects", "ethnic", "percussive", "sound effects",
)  # fmt: skip
_LEAST_SEMITONES = 24
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
        return int(np.clip((high - low + 1) * _ROW_PX, _LEAST_PX, _MOST_PX)) + (56 if len(self.pedal[0]) else 40)

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
                "notes": _packed([self.onset_ms, self.duration_ms], [notes.pitch, notes.velocity, notes.track]),
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
    return ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")[pitch % 12] + str(pitch // 12 - 1)


def legend(roll: Roll) -> Html:
    """Return a chip for each track that has notes; nothing where there is only one."""
    used = np.unique(roll.score.notes.track).tolist()
    if len(used) < 2:
        return Html("")
    chips = "".join(
        f'<span class="etude-chip"><i style="--c:var(--t{track % NUM_HUES})"></i>'
        f"{markup(roll.track_names[track])}</span>"
        for track in used
    )
    return Html(f'<span class="etude-legend">{chips}</span>')


def _ms(sec: np.ndarray | float) -> np.ndarray:
    return np.rint(np.asarray(sec) * 1000).astype(np.int64)


def _packed(wide: list[np.ndarray], narrow: list[np.ndarray]) -> str:
    """Return columns one after the other in base64: 32 bits little-endian, then bytes."""
    parts = [column.astype("<u4").tobytes() for column in wide]
    # more than 256 tracks only share colours sooner
    parts += [(column % 256).astype(np.uint8).tobytes() for column in narrow]
    return base64.b64encode(b"".join(parts)).decode()
