"""A piece of music as columns: the one value that readers, tokenizers, edits and pages share.

Times are ticks, ``Score.ppq`` of them to a quarter note, counted from the start of the piece. The tables
and the order of their rows are described in ``columns``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from hashlib import blake2b
from math import gcd
from typing import Any, Self

import numpy as np

from etude.music.columns import (
    TEXT_KINDS,
    WHOLE_PIECE,
    Columns,
    Controls,
    KeySignatures,
    Notes,
    PitchBends,
    Tempos,
    Texts,
    TimeSignatures,
)

__all__ = [
    "TEXT_KINDS",
    "WHOLE_PIECE",
    "Columns",
    "Controls",
    "KeySignatures",
    "Notes",
    "PitchBends",
    "Score",
    "Tempos",
    "Texts",
    "TimeSignatures",
    "Track",
]


@dataclass(frozen=True)
class Track:
    """One instrument: its General MIDI program 0 to 127, whether it is a drum kit, its name."""

    program: int
    is_drum: bool = False
    name: str = ""


def _empty(cls: type[Columns]) -> Any:
    table = cls(**{f.name: () if f.name in cls._strings else np.empty(0, np.int32) for f in fields(cls)})
    return field(default_factory=lambda: table)


@dataclass(frozen=True, repr=False)
class Score:
    """A piece: notes, the tracks they belong to, and what goes with them; immutable, equal by content.

    Args:
        ppq: ticks per quarter note, from 1.
        notes: the notes of all tracks.
        tracks: instruments; the ``track`` columns index this tuple.
    """

    ppq: int
    notes: Notes = _empty(Notes)
    tracks: tuple[Track, ...] = ()
    tempos: Tempos = _empty(Tempos)
    time_signatures: TimeSignatures = _empty(TimeSignatures)
    key_signatures: KeySignatures = _empty(KeySignatures)
    controls: Controls = _empty(Controls)
    pitch_bends: PitchBends = _empty(PitchBends)
    texts: Texts = _empty(Texts)

    __hash__ = None

    def __repr__(self) -> str:
        """Return one line: the size of each table."""
        tables = ((name, getattr(self, name)) for name in self.__dataclass_fields__ if name != "ppq")
        return f"Score(ppq={self.ppq}, " + ", ".join(f"{len(t)} {name}" for name, t in tables if len(t)) + ")"

    @classmethod
    def of(
        cls,
        onset_tick: Sequence[int] = (),
        duration_tick: Sequence[int] = (),
        pitch: Sequence[int] = (),
        velocity: Sequence[int] | None = None,
        track: Sequence[int] | None = None,
        *,
        ppq: int = 480,
        tracks: Sequence[Track] | None = None,
        **tables: Columns,
    ) -> Self:
        """Build a score from note columns in any order; velocities default to 64, tracks to one piano.

        Example:
            >>> score = Score.of([480, 0], [480, 480], [64, 60])
            >>> score.notes.pitch
            array([60, 64], dtype=int32)
            >>> score.duration_sec
            1.0
        """
        count = len(onset_tick)
        track = np.zeros(count, np.int32) if track is None else np.asarray(track)
        notes = Notes.of(
            onset_tick=onset_tick,
            duration_tick=duration_tick,
            pitch=pitch,
            velocity=np.full(count, 64, np.int32) if velocity is None else velocity,
            track=track,
        )
        if tracks is None:
            tracks = (Track(0),) * (int(track.max()) + 1 if count else 1)
        return cls(ppq, notes, tuple(tracks), **tables)

    @cached_property
    def tempo_map(self) -> Any:
        """The ``timing.TempoMap`` between ticks and seconds."""
        from etude.music.timing import TempoMap  # timing needs the tables of this module

        return TempoMap(self.tempos, self.ppq)

    @cached_property
    def onset_sec(self) -> np.ndarray:
        """When each note begins, in seconds, float64, in note order."""
        return self.tempo_map.tick_to_sec(self.notes.onset_tick)

    @cached_property
    def offset_sec(self) -> np.ndarray:
        """When each note ends, in seconds, float64, in note order; the pedal is not counted."""
        return self.tempo_map.tick_to_sec(self.notes.onset_tick.astype(np.int64) + self.notes.duration_tick)

    @cached_property
    def duration_sec(self) -> float:
        """When the last note ends, in seconds; 0.0 without notes."""
        return float(self.offset_sec.max()) if len(self.notes) else 0.0

    def content_digest(self) -> str:
        """Return 16 hex digits that name the notes, whatever the resolution they are stored in.

        Two files have one digest when their notes (onset, duration, pitch, velocity, instrument) are equal
        in quarter notes; tempo, pedal, texts and the order of tracks do not count.

        Example:
            >>> a, b = Score.of([480], [240], [60], ppq=480), Score.of([960], [480], [60], ppq=960)
            >>> a.content_digest() == b.content_digest()
            True
        """
        notes = self.notes
        # the coarsest resolution that still holds every time as a whole number
        step = gcd(int(np.gcd.reduce(notes.onset_tick)), int(np.gcd.reduce(notes.duration_tick)), self.ppq)
        kinds = np.array([t.program if not t.is_drum else 128 for t in self.tracks] or [0], np.int32)
        columns = (
            notes.onset_tick // step,
            notes.pitch,
            notes.duration_tick // step,
            notes.velocity,
            kinds[notes.track] if len(notes) else notes.track,
        )
        rows = np.stack(columns, axis=1)[_order_of_rows(*columns)]
        digest = blake2b(f"{self.ppq // step}:".encode(), digest_size=8)
        digest.update(np.ascontiguousarray(rows, "<i4"))
        return digest.hexdigest()

    def _repr_html_(self) -> str:
        from etude.pages import score_html  # upwards on purpose: a notebook asks a value to show itself

        return score_html(self)


def _order_of_rows(onset: np.ndarray, pitch: np.ndarray, duration: np.ndarray, velocity: np.ndarray, kind: np.ndarray):
    """Return what sorts rows by these columns, the first one first: two keys sort faster than five."""
    high = onset.astype(np.int64) << 7 | pitch
    low = (duration.astype(np.int64) << 7 | velocity) << 8 | kind
    later, equal = high[1:] > high[:-1], high[1:] == high[:-1]
    # so are the notes of one instrument already
    if np.all(later | equal & (low[1:] >= low[:-1])):
        return slice(None)
    return np.lexsort((low, high))
