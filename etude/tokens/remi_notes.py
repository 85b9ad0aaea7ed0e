"""The column work of decoding in the `remi` tokenizer: any ids to notes, tempos and metres.

Times are units, 48 to a quarter note. Every id is read for itself: a bar ends at ``b-1`` and is as long as the last
metre told; a position, a tempo or an instrument holds until the next one. A note is a pitch with a duration right
after it, and has the velocity right after that.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from etude.music.score import Tempos
from etude.music.timing import DEFAULT_US_PER_QUARTER, TempoMap
from etude.tokens.remi_grid import bar_units
from etude.tokens.remi_vocab import (
    BAR,
    COMMON_METRE,
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

LENGTH_UNITS = UNITS_PER_POSITION * np.maximum(DURATIONS, 1)
"""How long a note of each duration sounds."""
_DURATION_READ = np.clip(np.arange(VELOCITY - DURATION), 1, len(DURATIONS) - 1)
"""Durations as they are read: 0 is as long as 1, and those that are never written as the longest."""

# the two that move the clock come first
_IS_BAR, _IS_POSITION, _IS_INSTRUMENT, _IS_PITCH, _IS_DURATION, _IS_VELOCITY, _IS_METRE, _IS_TEMPO, _IS_VOID = range(9)
_FIRST_OF_KIND = (BAR, BAR + 1, INSTRUMENT, PITCH, DURATION, VELOCITY, METRE, TEMPO, UNUSED)


class Told(NamedTuple):
    """What ids tell; N notes in the order of the ids, tempos and metres where they change.

    Attributes:
        onset: unit, int64 (N,).
        duration: number of the length, 1..95, int64 (N,).
        pitch: 0..127, int64 (N,).
        instrument: 0..128, int64 (N,).
        level: velocity level 0..31, int64 (N,).
        tempo_unit: int64, from 0 on.
        tempo: microseconds of a quarter note.
        metre_unit: int64; bar lines.
        metre: numbers of metres.
        repairs: how much had to be mended.
    """

    onset: np.ndarray
    duration: np.ndarray
    pitch: np.ndarray
    instrument: np.ndarray
    level: np.ndarray
    tempo_unit: np.ndarray
    tempo: np.ndarray
    metre_unit: np.ndarray
    metre: np.ndarray
    repairs: dict[str, int]

    def tempos(self) -> Tempos:
        """Return the tempos in ticks."""
        tick = (self.tempo_unit * TICKS_PER_UNIT).astype(np.int32)
        return Tempos(tick=tick, us_per_quarter=self.tempo.astype(np.int32))

    def last_sec(self) -> float:
        """Return when the last note ends, in seconds; 0.0 without notes."""
        if not len(self.onset):
            return 0.0
        tick = int((self.onset + LENGTH_UNITS[self.duration]).max()) * TICKS_PER_UNIT
        return float(TempoMap(self.tempos(), PPQ).tick_to_sec(tick))


class _Read(NamedTuple):
    """Ids that mean something, the kind of each and the unit at which it stands, (T,) each."""

    ids: np.ndarray
    kind: np.ndarray
    unit: np.ndarray


def kinds_of(is_void: np.ndarray) -> np.ndarray:
    """Return the kind of each id, int8 (V,); ids that mean nothing in music are of the last kind."""
    kind = np.full(len(is_void), _IS_VOID, np.int8)
    for number, (start, stop) in enumerate(pairwise(_FIRST_OF_KIND)):
        kind[start:stop] = number
    kind[is_void] = _IS_VOID
    return kind


def music_of(ids: np.ndarray) -> np.ndarray:
    """Return the ids after the first ``<sep>``, if there is one, and before END."""
    for cut, keep in ((SEP, lambda at: slice(at + 1, None)), (END, lambda at: slice(at))):
        found = (ids == cut).nonzero()[0]
        ids = ids[keep(found[0])] if found.size else ids
    return ids


def notes_of_ids(ids: np.ndarray, kind_of: np.ndarray, *, with_velocity: bool) -> Told:
    """Read any ids of the vocabulary.

    Args:
        ids: 0..1252, int64 (T,).
        kind_of: from ``kinds_of``.
        with_velocity: a note without a velocity is a mistake.
    """
    kind, num_void = kind_of.take(ids), 0
    # what comes before or after the music is of this kind too
    if np.maximum.reduce(kind, initial=0) == _IS_VOID:
        ids = music_of(ids)
        kind = kind_of.take(ids)
        is_music = (kind != _IS_VOID).nonzero()[0]
        num_void = len(ids) - len(is_music)
        ids, kind = ids.take(is_music), kind.take(is_music)
    # a position holds until the next one or the end of the bar
    marks = (kind <= _IS_POSITION).nonzero()[0]
    is_bar = kind.take(marks) == _IS_BAR
    bar = is_bar.cumsum(dtype=np.int64)
    bar_rows, metre_rows = marks.take(is_bar.nonzero()[0]), (kind == _IS_METRE).nonzero()[0]
    metre_bars = bar_rows.searchsorted(metre_rows)
    metre_of_bar = _held(metre_bars, ids[metre_rows] - METRE, len(bar_rows) + 1, COMMON_METRE)
    line = bar_units(metre_of_bar)
    position = (ids.take(marks) - POSITION) * UNITS_PER_POSITION
    position *= ~is_bar
    read = _Read(ids, kind, _filled(marks, line.take(bar) + position, 0, len(ids)))
    notes, mended = _notes(read, with_velocity=with_velocity)
    outside = position >= METRE_UNITS.take(metre_of_bar).take(bar)
    outside &= ~is_bar
    changes = _changes(metre_of_bar) & (line <= _LAST_UNIT) & (len(metre_rows) > 0)
    repairs = {"without_meaning": num_void, "outside_bar": int(np.count_nonzero(outside))} | mended
    return Told(*notes, *_tempos(read), line[changes], metre_of_bar[changes], repairs)


def _held(bar: np.ndarray, value: np.ndarray, num_bars: int, default: int) -> np.ndarray:
    """Return the value of each bar: the last one told in it or before it."""
    row = np.zeros(num_bars, np.int64)
    row[bar] = np.arange(1, len(bar) + 1)
    return np.append(default, value)[np.maximum.accumulate(row)]


def _filled(rows: np.ndarray, values: np.ndarray, first: int, count: int) -> np.ndarray:
    """Return values that hold from their row to the next one, (count,); ``first`` before the first row."""
    times = np.empty(len(rows) + 1, np.int64)
    times[:-1], times[-1] = rows, count
    times[1:] -= rows
    return np.append(first, values).repeat(times)


def _notes(read: _Read, *, with_velocity: bool) -> tuple[tuple[np.ndarray, ...], dict[str, int]]:
    """Return onset, duration, pitch, instrument and level of each note, and what had to be mended."""
    ids, kind = read.ids, read.kind
    pitch_rows = (kind == _IS_PITCH).nonzero()[0]
    # after the last id that one stands for the next, which is no part of the note that it begins or goes on
    after = pitch_rows + 1
    is_note = kind.take(after, mode="clip") == _IS_DURATION
    rows = pitch_rows if is_note.all() else pitch_rows[is_note]
    after = rows + 2
    has_velocity = kind.take(after, mode="clip") == _IS_VELOCITY
    level = ids.take(after, mode="clip") - VELOCITY
    if not has_velocity.all():
        level[~has_velocity] = UNTOLD_LEVEL
    told = (kind == _IS_INSTRUMENT).nonzero()[0]
    instruments = ids.take(told) - INSTRUMENT
    if len(told) and len(rows) and told[0] < rows[0] and (instruments == instruments[0]).all():
        instrument = np.full(len(rows), instruments[0])
    else:
        instrument = _filled(told, instruments, 0, len(ids)).take(rows)
    pitch = ids.take(rows) - PITCH
    num_velocities = int(np.count_nonzero(has_velocity))
    others = np.count_nonzero(kind == _IS_DURATION) + np.count_nonzero(kind == _IS_VELOCITY)
    repairs = {
        "stray": len(pitch_rows) + int(others) - 2 * len(rows) - num_velocities,
        "without_velocity": len(rows) - num_velocities if with_velocity else 0,
        "wrong_kind": int(np.count_nonzero((pitch >= DRUMS) != (instrument == DRUMS))),
    }
    onset = read.unit.take(rows)
    columns = (onset, _DURATION_READ.take(ids.take(rows + 1) - DURATION), pitch & 127, instrument, level)
    inside = onset <= _LAST_UNIT
    return columns if inside.all() else tuple(column[inside] for column in columns), repairs


def _tempos(read: _Read) -> tuple[np.ndarray, np.ndarray]:
    """Return where tempos change and what they are; the first one told holds from the start."""
    rows = (read.kind == _IS_TEMPO).nonzero()[0]
    rows = rows[read.unit.take(rows) <= _LAST_UNIT]
    unit, tempo = read.unit.take(rows), read.ids.take(rows) - TEMPO
    if not len(unit):
        return np.zeros(1, np.int64), np.array([DEFAULT_US_PER_QUARTER])
    if (unit[1:] < unit[:-1]).any():
        order = np.argsort(unit, kind="stable")
        unit, tempo = unit[order], tempo[order]
    # of several at one place the last
    last = np.append(unit[1:] != unit[:-1], True)
    unit, tempo = unit[last], tempo[last]
    changes = _changes(tempo)
    unit, tempo = unit[changes], tempo[changes]
    unit[0] = 0
    return unit, TEMPO_US[tempo].astype(np.int64)


def _changes(values: np.ndarray) -> np.ndarray:
    return np.append(True, values[1:] != values[:-1])[: len(values)]
