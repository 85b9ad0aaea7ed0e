"""The column work of decoding in the `remi` tokenizer: any ids to notes, tempos and metres.

Times are units, 48 to a quarter note. Every id is read for itself: a bar ends at ``b-1`` and is as long as the last
metre told; a position, a tempo or an instrument holds until the next one. A note is a pitch with a duration right
after it, and has the velocity right after that.
"""

from typing import NamedTuple

import numpy as np

from etude.music.score import Tempos
from etude.music.timing import TempoMap
from etude.tokens.remi_grid import bar_units
from etude.tokens.remi_vocab import (
    BAR,
    COMMON_METRE,
    DEFAULT_TEMPO,
    DRUMS,
    DURATION,
    DURATIONS,
    END,
    INSTRUMENT,
    METRE,
    METRE_UNITS,
    PITCH,
    POSITION,
    SEP,
    TEMPO,
    TEMPO_US,
    UNITS_PER_POSITION,
    UNITS_PER_QUARTER,
    UNUSED,
    VELOCITY,
)

LONGEST_PIECE = 1_000_000
"""Quarter notes; whatever begins later means nothing."""
UNTOLD_LEVEL = 24
"""The velocity level of notes that have none: 98."""

TICKS_PER_UNIT, PPQ = 10, 10 * UNITS_PER_QUARTER
_LAST_UNIT = LONGEST_PIECE * UNITS_PER_QUARTER

_STARTS = (BAR, BAR + 1, INSTRUMENT, PITCH, DURATION, VELOCITY, METRE, TEMPO, UNUSED)
_IS_BAR, _IS_POSITION, _IS_INSTRUMENT, _IS_PITCH, _IS_DURATION, _IS_VELOCITY, _IS_METRE, _IS_TEMPO, _IS_NOTHING = range(9)
_LENGTHS = np.maximum(DURATIONS[np.minimum(np.arange(INSTRUMENT - POSITION), len(DURATIONS) - 1)], 1)
"""Positions that each duration sounds; those that are never written are as long as the longest."""


class Told(NamedTuple):
    """What ids tell; N notes in the order of the ids, tempos and metres where they change.

    Attributes:
        onset: unit, int64 (N,).
        length: units, int64 (N,).
        pitch: 0..127, int64 (N,).
        instrument: 0..128, int64 (N,).
        velocity: 2..126, int64 (N,).
        tempo_unit: int64, from 0 on.
        tempo: microseconds of a quarter note.
        metre_unit: int64; bar lines.
        metre: numbers of metres.
        repairs: how much had to be mended.
    """

    onset: np.ndarray
    length: np.ndarray
    pitch: np.ndarray
    instrument: np.ndarray
    velocity: np.ndarray
    tempo_unit: np.ndarray
    tempo: np.ndarray
    metre_unit: np.ndarray
    metre: np.ndarray
    repairs: dict[str, int]

    def tempos(self) -> Tempos:
        """Return the tempos in ticks."""
        return Tempos(
            tick=(self.tempo_unit * TICKS_PER_UNIT).astype(np.int32), us_per_quarter=self.tempo.astype(np.int32)
        )

    def last_sec(self) -> float:
        """Return when the last note ends, in seconds; 0.0 without notes."""
        if not len(self.onset):
            return 0.0
        tick = int((self.onset + self.length).max()) * TICKS_PER_UNIT
        return float(TempoMap(self.tempos(), PPQ).tick_to_sec(tick))


class _Read(NamedTuple):
    """Ids that mean something, what kind each is, and at which unit it stands."""

    ids: np.ndarray
    kind: np.ndarray
    unit: np.ndarray


def kinds_of(is_void: np.ndarray) -> np.ndarray:
    """Return the kind of each id, int8 (V,); ids that mean nothing in music are of the last kind."""
    kind = np.full(len(is_void), _IS_NOTHING, np.int8)
    for number, (start, stop) in enumerate(zip(_STARTS[:-1], _STARTS[1:], strict=True)):
        kind[start:stop] = number
    kind[is_void] = _IS_NOTHING
    return kind


def music_of(ids: np.ndarray) -> np.ndarray:
    """Return the ids after the first ``<sep>``, if there is one, and before END."""
    for cut, keep in ((SEP, lambda at: slice(at + 1, None)), (END, lambda at: slice(at))):
        found = np.flatnonzero(ids == cut)
        ids = ids[keep(found[0])] if found.size else ids
    return ids


def notes_of_ids(ids: np.ndarray, kind_of: np.ndarray, *, with_velocity: bool) -> Told:
    """Read any ids of the vocabulary.

    Args:
        ids: 0..1252, int64 (T,).
        kind_of: from ``kinds_of``.
        with_velocity: a note without a velocity is a mistake.
    """
    ids = music_of(ids)
    kind = kind_of[ids]
    is_music = kind != _IS_NOTHING
    num_void = len(ids) - int(np.count_nonzero(is_music))
    if num_void:
        ids, kind = ids[is_music], kind[is_music]
    bar = np.cumsum(kind == _IS_BAR)
    metre_rows = np.flatnonzero(kind == _IS_METRE)
    num_bars = int(bar[-1]) + 1 if len(bar) else 0
    metre_of_bar = _held(bar[metre_rows], ids[metre_rows] - METRE, num_bars, COMMON_METRE)
    line = bar_units(metre_of_bar)
    # a position holds until the next one or the end of the bar
    moves = np.where((kind == _IS_POSITION) | (kind == _IS_BAR), np.arange(len(ids)), 0)
    at = np.maximum.accumulate(moves) if len(ids) else moves
    position = np.where(kind[at] == _IS_POSITION, ids[at] - POSITION, 0)
    inside_bar = UNITS_PER_POSITION * position
    read = _Read(ids, kind, line[bar] + inside_bar)
    notes, mended = _notes(read, with_velocity=with_velocity)
    outside = (kind == _IS_POSITION) & (inside_bar >= METRE_UNITS[metre_of_bar[bar]])
    inside = line <= _LAST_UNIT
    changes = _changes(metre_of_bar) & inside if len(metre_rows) else np.zeros(num_bars, bool)
    return Told(
        *notes,
        *_tempos(read),
        line[changes],
        metre_of_bar[changes],
        {"without_meaning": num_void, "outside_bar": int(np.count_nonzero(outside))} | mended,
    )


def _held(bar: np.ndarray, value: np.ndarray, num_bars: int, default: int) -> np.ndarray:
    """Return the value of each bar: the last one told in it or before it."""
    row = np.zeros(num_bars, np.int64)
    row[bar] = np.arange(1, len(bar) + 1)
    return np.append(default, value)[np.maximum.accumulate(row) if num_bars else row]


def _notes(read: _Read, *, with_velocity: bool) -> tuple[tuple[np.ndarray, ...], dict[str, int]]:
    """Return onset, length, pitch, instrument and velocity of each note, and what had to be mended."""
    ids, kind = read.ids, read.kind
    following = np.append(kind[1:], [_IS_NOTHING, _IS_NOTHING, _IS_NOTHING])
    rows = np.flatnonzero((kind == _IS_PITCH) & (following[: len(kind)] == _IS_DURATION))
    has_velocity = following[rows + 1] == _IS_VELOCITY
    level = np.full(len(rows), UNTOLD_LEVEL)
    level[has_velocity] = ids[rows[has_velocity] + 2] - VELOCITY
    told = np.where(kind == _IS_INSTRUMENT, np.arange(1, len(ids) + 1), 0)
    held = np.maximum.accumulate(told)[rows] if len(ids) else rows
    instrument = np.append(0, ids - INSTRUMENT)[held]
    pitch = ids[rows] - PITCH
    repairs = {
        "stray": _count_stray(kind, rows, has_velocity),
        "without_velocity": int(np.count_nonzero(~has_velocity)) if with_velocity else 0,
        "wrong_kind": int(np.count_nonzero((pitch >= DRUMS) != (instrument == DRUMS))),
    }
    inside = read.unit[rows] <= _LAST_UNIT
    length = UNITS_PER_POSITION * _LENGTHS[ids[rows + 1] - DURATION]
    columns = (read.unit[rows], length, pitch & 127, instrument, 4 * level + 2)
    return tuple(column if inside.all() else column[inside] for column in columns), repairs


def _count_stray(kind: np.ndarray, rows: np.ndarray, has_velocity: np.ndarray) -> int:
    """Return how many pitches, durations and velocities belong to no note."""
    parts = np.count_nonzero((kind == _IS_PITCH) | (kind == _IS_DURATION) | (kind == _IS_VELOCITY))
    return int(parts) - 2 * len(rows) - int(np.count_nonzero(has_velocity))


def _tempos(read: _Read) -> tuple[np.ndarray, np.ndarray]:
    """Return where tempos change and what they are; the first one told holds from the start."""
    rows = np.flatnonzero((read.kind == _IS_TEMPO) & (read.unit <= _LAST_UNIT))
    unit, tempo = read.unit[rows], read.ids[rows] - TEMPO
    if len(unit) and (unit[1:] < unit[:-1]).any():
        order = np.argsort(unit, kind="stable")
        unit, tempo = unit[order], tempo[order]
    last = np.append(unit[1:] != unit[:-1], True)[: len(unit)]
    unit, tempo = unit[last], tempo[last]
    if not len(unit):
        return np.zeros(1, np.int64), np.array([500_000])
    changes = _changes(tempo)
    unit, tempo = unit[changes], tempo[changes]
    unit[0] = 0
    return unit, TEMPO_US[tempo].astype(np.int64)


def _changes(values: np.ndarray) -> np.ndarray:
    return np.append(True, values[1:] != values[:-1])[: len(values)]


def layers_of(key: np.ndarray, onset: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return which layer of its instrument each note goes to, int64 (N,), 0 for nearly all.

    MIDI says only which key comes up, not which of two notes of that key ends. A note within a longer one of the
    same key therefore goes to the next layer, which becomes a track of its own.

    Args:
        key: instrument and pitch as one number, below 2**15, (N,).
        onset: (N,).
        end: below 2**40, (N,).
    """
    layer = np.zeros(len(key), np.int64)
    order = np.lexsort((end, onset, key))
    while True:
        # keys one above the other, so that one running maximum serves all of them
        reach = (key[order] << 40) + end[order]
        longest = np.maximum.accumulate(reach) if len(order) else reach
        order = order[reach < longest]
        if not len(order):
            return layer
        layer[order] += 1
