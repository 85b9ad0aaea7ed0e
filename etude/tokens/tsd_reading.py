"""Ids to what they tell: the clock, notes with their lengths, and what else happens when.

Legend: T ids, N notes. Times are *fine ticks*: the grid of the shortest beat that the settings know, so that every
step of every time signature is a whole number of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from etude.errors import TokenError
from etude.tokens.tsd_grid import COMMON_TIME
from etude.tokens.tsd_layout import DRUMS, NONE, Layout

LONGEST_TICK = 1 << 23
"""Fine ticks after which ids mean nothing: half of what can be encoded."""

UNTOLD_VELOCITY = 100
"""The velocity of notes whose ids do not tell it."""


class Told(NamedTuple):
    """What ids tell; columns of equal length for notes (N,), for other events by kind."""

    onset: np.ndarray
    end: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray
    instrument: np.ndarray
    others: dict[str, tuple[np.ndarray, np.ndarray]]
    """Kind to (tick, number of the id within its kind)."""
    repairs: dict[str, int]


class Reader:
    """The tables by which one layout's ids are read.

    Args:
        layout: the vocabulary.
    """

    def __init__(self, layout: Layout) -> None:
        """Look every id up once."""
        self.layout, size = layout, len(layout.vocab)
        self.end_id = layout.vocab.id_of("END")
        self.shortest_beat = max(layout.settings.denominators)
        self.ticks_per_quarter = layout.settings.finest * self.shortest_beat // 4
        self.steps = np.zeros(size, np.int64)
        self.steps[layout.ids("TimeShift")] = layout.shifts.steps
        if layout.rests is not None:
            self.steps[layout.ids("Rest")] = layout.rests.steps
        self.is_rest, self.is_metre, self.is_program, self.is_velocity, self.is_length, self.is_off = (
            _marks(size, layout.ids(*kinds))
            for kinds in (("Rest",), ("TimeSig",), ("Program",), ("Velocity",), ("Duration",), ("NoteOff", "DrumOff"))
        )
        self.pitch, self.is_drum = np.full(size, NONE), np.zeros(size, bool)
        for end in range(2 if layout.has_offs else 1):
            for is_drum in (False, True):
                ids = layout.pitch_ids[end, int(is_drum)]
                self.pitch[ids[ids != NONE]] = np.flatnonzero(ids != NONE)
        self.is_drum[layout.ids("PitchDrum", "DrumOn", "DrumOff")] = True
        lowers = [lower for _, lower in layout.settings.time_signature_range]
        # ticks to a step from each signature on, and before any
        self.step_of_metre = self.shortest_beat // np.array([COMMON_TIME[1], *lowers])

    def read(self, ids: np.ndarray) -> Told:
        """Return what ids tell, up to END.

        Args:
            ids: of the vocabulary, int64 (T,).
        """
        ends = np.flatnonzero(ids == self.end_id)
        ids = ids[: ends[0]] if ends.size else ids
        step = self.step_of_metre[self._in_force(ids, self.is_metre, self.layout.first("TimeSig")) + 1]
        clock = np.cumsum(self.steps[ids] * step)
        if self.is_rest.any() and not self.layout.has_offs:
            clock = clock + self._jumps(ids, clock, step)
        within = int(np.searchsorted(clock, LONGEST_TICK))
        ids, clock, step = ids[:within], clock[:within], step[:within]
        rows, velocity, length, lacking = self._notes(ids)
        row = self._in_force(ids, self.is_program, self.layout.first("Program"))[rows]
        instrument = np.append(self.layout.instrument_of_row, 0)[row]
        instrument = np.where(self.is_drum[ids[rows]], DRUMS, instrument)
        pitch, onset = self.pitch[ids[rows]], clock[rows]
        repairs = {"incomplete": lacking}
        if self.layout.has_offs:
            is_off = self.is_off[ids[rows]]
            begins, end, mended = _paired(instrument << 7 | pitch, onset, is_off, int(clock[-1]) if len(ids) else 0)
            repairs |= mended
            onset, pitch, velocity, instrument = onset[begins], pitch[begins], velocity[begins], instrument[begins]
        else:
            end = onset + self.layout.durations.steps[length] * step[rows]
        others = {kind: self._others(ids, clock, kind) for kind in ("TimeSig", "Tempo", "KeySig", "Pedal", "PedalOff")}
        return Told(onset, end, pitch, velocity, instrument, others, repairs)

    def _others(self, ids: np.ndarray, clock: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
        known = self.layout.ids(kind)
        if not len(known):
            return clock[:0], ids[:0]
        number = ids - known[0]
        rows = np.flatnonzero((number >= 0) & (number < len(known)))
        return clock[rows], number[rows]

    def _in_force(self, ids: np.ndarray, marks: np.ndarray, first: int) -> np.ndarray:
        """Return the number of the marked id that was last told at each place, ``NONE`` before any."""
        is_marked = marks[ids]
        if not is_marked.any():
            return np.full(len(ids), NONE)
        number = np.append(NONE, ids[is_marked] - first)
        return number[np.cumsum(is_marked)]

    def _notes(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Return where notes (and their ends) stand, their velocities, lengths, and how many were not whole."""
        layout, rows = self.layout, np.flatnonzero(self.pitch[ids] != NONE)
        padded = np.append(ids, [self.end_id] * 2)
        is_whole, at = np.ones(len(rows), bool), rows + 1
        velocity, length = np.full(len(rows), UNTOLD_VELOCITY), np.zeros(len(rows), np.int64)
        is_off = self.is_off[ids[rows]]
        if layout.settings.use_velocities:
            is_whole &= self.is_velocity[padded[at]] | is_off
            told = self.is_velocity[padded[at]]
            velocity[told] = layout.velocities[padded[at[told]] - layout.first("Velocity")]
            at = at + 1
        if not layout.has_offs:
            is_whole &= self.is_length[padded[at]]
            length[is_whole] = padded[at[is_whole]] - layout.first("Duration")
        return rows[is_whole], velocity[is_whole], length[is_whole], int(np.count_nonzero(~is_whole))

    def _jumps(self, ids: np.ndarray, clock: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Return how much later everything is because rests begin when the last note ends.

        Args:
            ids: (T,).
            clock: ticks of shifts and rests alone.
            step: ticks to a step at each place.
        """
        rests = np.flatnonzero(self.is_rest[ids])
        if not len(rests):
            return np.zeros(len(ids), np.int64)
        rows, _, length, _ = self._notes(ids)
        end = np.zeros(len(ids), np.int64)
        end[rows] = clock[rows] + self.layout.durations.steps[length] * step[rows]
        # only notes since the rest before can sound: a rest begins after all others
        latest = np.maximum.reduceat(end[: rests[-1] + 1], np.append(0, rests[:-1] + 1))
        before = clock[rests] - self.steps[ids[rests]] * step[rests]
        late = np.maximum(latest - before, 0)
        jump = np.zeros(len(ids), np.int64)
        # up to the next step, where a note from another section has not ended on one
        jump[rests] = -(-late // step[rests]) * step[rests]
        return np.cumsum(jump)


def _marks(size: int, ids: np.ndarray) -> np.ndarray:
    marks = np.zeros(size, bool)
    marks[ids] = True
    return marks


def _paired(
    key: np.ndarray, tick: np.ndarray, is_off: np.ndarray, last: int
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Pair beginnings and ends of each key, the first to begin with the first to end.

    Args:
        key: instrument and pitch.
        tick: rising.
        is_off: whether a row is an end.
        last: the tick at which hanging notes end.

    Returns:
        The rows that begin notes, in their order; when these end; what was mended.
    """
    order = np.argsort(key, kind="stable")
    key, is_off = key[order], is_off[order]
    is_new = np.append(True, key[1:] != key[:-1])[: len(key)]
    group = np.cumsum(is_new) - 1
    height = np.cumsum(np.where(is_off, -1, 1))
    height -= np.append(0, height)[np.flatnonzero(is_new)][group]
    # an end is stray where the row before it was as low as its group has ever been
    drop = 2 * len(key) + 1
    lowest = np.append(0, np.minimum.accumulate(np.minimum(height, 0) - group * drop))[: len(key)] + group * drop
    lowest[is_new] = 0
    is_stray = is_off & (height < lowest)
    begins, ends = np.flatnonzero(~is_off), np.flatnonzero(is_off & ~is_stray)
    # the k-th end of a key belongs to its k-th beginning
    place = np.searchsorted(group[begins], group[ends]) + np.arange(len(ends)) - np.searchsorted(group[ends], group[ends])
    onset, end = tick[order[begins]], np.full(len(begins), NONE)
    end[place] = tick[order[ends]]
    hangs = end == NONE
    end = np.where(hangs, np.maximum(last, onset + 1), end)
    has_length = end > onset
    mended = {"stray_offs": is_stray, "hanging": hangs, "without_length": ~has_length}
    rows, end = order[begins][has_length], end[has_length]
    back = np.argsort(rows)
    return rows[back], end[back], {name: int(np.count_nonzero(these)) for name, these in mended.items()}


def checked_row(ids: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
    """Return ids as int64 (T,).

    Raises:
        TokenError: not one row of whole numbers below ``size``.
    """
    row = np.asarray(ids)
    if row.ndim == 1 and not row.size:
        return np.empty(0, np.int64)
    if row.ndim != 1 or row.dtype.kind not in "iu":
        raise TokenError(f"ids: expected one row of whole numbers, got {row.dtype} of shape {row.shape}")
    wrong = np.flatnonzero((row < 0) | (row >= size))
    if wrong.size:
        place = int(wrong[0])
        raise TokenError(f"ids[{place}] = {row[place]}: expected 0..{size - 1}; ids need the tokenizer that made them")
    return row.astype(np.int64)
