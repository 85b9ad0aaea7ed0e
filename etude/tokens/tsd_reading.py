"""Ids to what they tell: the clock, notes with their lengths, and what else happens when.

Legend: T ids, N notes. Times are *fine ticks*: the grid of the shortest beat that the settings know, so that every
step of every time signature is a whole number of them.
"""

from typing import NamedTuple

import numpy as np

from etude.music.order import order_of
from etude.tokens.id_facts import DRUMS
from etude.tokens.tsd_grid import COMMON_TIME
from etude.tokens.tsd_layout import NONE, Layout

LONGEST_TICK = 1 << 22
"""Fine ticks after which ids mean nothing: a quarter of what can be encoded."""

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


_NOTHING, _SHIFT, _REST, _METRE, _PROGRAM, _ON, _OFF, _VELOCITY, _LENGTH, _OTHER, _END = range(11)
"""What ids do to the reading of others."""

_OTHERS = ("TimeSig", "Tempo", "KeySig", "Pedal", "PedalOff")


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
        self._kind = np.zeros(size, np.uint8)
        kinds = {
            _OTHER: _OTHERS,
            _SHIFT: ("TimeShift",),
            _REST: ("Rest",),
            _METRE: ("TimeSig",),
            _PROGRAM: ("Program",),
            _ON: ("Pitch", "PitchDrum", "NoteOn", "DrumOn"),
            _OFF: ("NoteOff", "DrumOff"),
            _VELOCITY: ("Velocity",),
            _LENGTH: ("Duration",),
        }
        for kind, names in kinds.items():
            self._kind[layout.ids(*names)] = kind
        self._kind[self.end_id] = _END
        self._first_of_others = [layout.first(name) for name in _OTHERS]
        self._num_of_others = [len(layout.ids(name)) for name in _OTHERS]
        self.is_off = self._kind == _OFF
        self.steps = _values(size, 0, {"TimeShift": layout.shifts.steps}, layout)
        if layout.rests is not None:
            self.steps[layout.ids("Rest")] = layout.rests.steps
        self._length = _values(size, 0, {} if layout.has_offs else {"Duration": layout.durations.steps}, layout)
        self._velocity = _values(size, UNTOLD_VELOCITY, {"Velocity": layout.velocities}, layout)
        self._program = _values(size, 0, {"Program": layout.instrument_of_row}, layout)
        self.pitch, self.is_drum = np.full(size, NONE), np.zeros(size, bool)
        for ids in layout.pitch_ids.reshape(-1, 128):
            self.pitch[ids[ids != NONE]] = np.flatnonzero(ids != NONE)
        self.is_drum[layout.ids("PitchDrum", "DrumOn", "DrumOff")] = True
        # ticks to a step in common time, and from each signature on
        self.metres = np.array(layout.settings.time_signature_range, np.int32).reshape(-1, 2).T
        lowers = self.metres[1].astype(np.int64)
        self._common_step = self.shortest_beat // COMMON_TIME[1]
        self._step = _values(size, 0, {"TimeSig": self.shortest_beat // lowers}, layout)

    def read(self, ids: np.ndarray) -> Told:
        """Return what ids tell, up to END.

        Args:
            ids: of the vocabulary, int64 (T,).
        """
        kind = self._kind.take(ids)
        ends = np.flatnonzero(kind == _END)
        if ends.size:
            ids, kind = ids[: ends[0]], kind[: ends[0]]
        metres = np.flatnonzero(kind == _METRE)
        step = _in_force(metres, self._step[ids[metres]], self._common_step, len(ids))
        rows, velocity, length, lacking = self._notes(ids, kind)
        waits = self.steps.take(ids)
        if not isinstance(step, int) or step != 1:
            waits *= step
        clock = waits.cumsum()
        rests = np.flatnonzero(kind == _REST)
        if len(rests) and not self.layout.has_offs:
            clock += _jumps(len(ids), (rests, waits[rests], _at(step, rests)), rows, clock, length * _at(step, rows))
        # clocks only rise, so what is too late comes last
        if len(clock) and clock[-1] >= LONGEST_TICK:
            within = int(np.searchsorted(clock, LONGEST_TICK))
            ids, clock, kept = ids[:within], clock[:within], int(np.searchsorted(rows, within))
            rows, velocity, length = rows[:kept], velocity[:kept], length[:kept]
        there, onset = ids.take(rows), clock.take(rows)
        pitch, instrument = self.pitch.take(there), self._instruments(ids, kind, rows, there)
        repairs = {"incomplete": lacking}
        if self.layout.has_offs:
            last = int(clock[-1]) if len(clock) else 0
            begins, end, mended = _paired(instrument << 7 | pitch, onset, self.is_off[there], last)
            repairs |= mended
            onset, pitch, velocity, instrument = onset[begins], pitch[begins], velocity[begins], instrument[begins]
        else:
            end = onset + length * _at(step, rows)
        return Told(onset, end, pitch, velocity, instrument, self._others(ids, kind, clock), repairs)

    def _notes(self, ids: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Return where notes (and their ends) stand, velocities, lengths in steps, and how many were not whole."""
        is_note = (kind == _ON) | (kind == _OFF) if self.layout.has_offs else kind == _ON
        rows = np.flatnonzero(is_note)
        if not len(rows):
            return rows, rows, rows, 0
        # after the last id that one stands for the next, which is no part of the note that it begins or goes on
        after, is_whole = rows + 1, True
        if self.layout.settings.use_velocities:
            velocity = self._velocity.take(ids.take(after, mode="clip"))
            is_whole = kind.take(after, mode="clip") == _VELOCITY
            after += 1
        else:
            velocity = np.full(len(rows), UNTOLD_VELOCITY)
        if self.layout.has_offs:
            length = np.zeros(len(rows), np.int64)
            is_whole = is_whole | (kind.take(rows) == _OFF)
        else:
            length = self._length.take(ids.take(after, mode="clip"))
            is_whole = is_whole & (kind.take(after, mode="clip") == _LENGTH)
        lacking = len(rows) - int(np.count_nonzero(is_whole)) if isinstance(is_whole, np.ndarray) else 0
        if lacking:
            rows, velocity, length = rows[is_whole], velocity[is_whole], length[is_whole]
        return rows, velocity, length, lacking

    def _instruments(self, ids: np.ndarray, kind: np.ndarray, rows: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Return the instrument of each note, which the ids ``there`` begin."""
        instrument = np.zeros(len(rows), np.int64)
        programs = np.flatnonzero(kind[: len(ids)] == _PROGRAM)
        if len(programs):
            in_force = np.append(0, self._program[ids[programs]])
            instrument = in_force[np.searchsorted(programs, rows)]
        is_drum = self.is_drum.take(there)
        return np.where(is_drum, DRUMS, instrument) if is_drum.any() else instrument

    def _others(self, ids: np.ndarray, kind: np.ndarray, clock: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        kind = kind[: len(ids)]
        rows = ((kind == _OTHER) | (kind == _METRE)).nonzero()[0]
        ids, clock, told = ids[rows], clock[rows], {}
        for name, first, count in zip(_OTHERS, self._first_of_others, self._num_of_others, strict=True):
            own = ((ids >= first) & (ids < first + count)).nonzero()[0] if count else rows[:0]
            told[name] = (clock[own], ids[own] - first)
        return told


def _values(size: int, untold: int, kinds: dict[str, np.ndarray], layout: Layout) -> np.ndarray:
    """Return a number for each id: those of some kinds, ``untold`` for all others."""
    table = np.full(size, untold, np.int64)
    for name, values in kinds.items():
        ids = layout.ids(name)
        table[ids] = values[: len(ids)]
    return table


def _in_force(rows: np.ndarray, values: np.ndarray, first: int, count: int) -> np.ndarray | int:
    """Return the value told last at each of ``count`` places, ``first`` before any; one number if all are equal."""
    if (values == first).all():
        return first
    return np.repeat(np.append(first, values), np.diff(np.concatenate([[0], rows, [count]])))


def _at(step: np.ndarray | int, rows: np.ndarray) -> np.ndarray | int:
    return step if isinstance(step, int) else step[rows]


def _jumps(
    count: int,
    rests: tuple[np.ndarray, np.ndarray, np.ndarray | int],
    notes: np.ndarray,
    clock: np.ndarray,
    length: np.ndarray,
) -> np.ndarray:
    """Return how much later everything is because rests begin when the last note ends.

    Args:
        count: T.
        rests: where they stand, how long they are, and the ticks to a step there.
        notes: where notes stand.
        clock: ticks at each id if rests began at once, (T,).
        length: of each note.
    """
    rows, waits, step = rests
    end = np.zeros(count, np.int64)
    end[notes] = clock[notes] + length
    # only notes since the rest before can sound: a rest begins after all others
    latest = np.maximum.reduceat(end[: rows[-1] + 1], np.append(0, rows[:-1] + 1))
    late = np.maximum(latest - (clock[rows] - waits), 0)
    jump = np.zeros(count, np.int64)
    # up to the next step, where a note from another section has not ended on one
    jump[rows] = -(-late // step) * step
    return np.cumsum(jump)


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
    # numpy sorts 16-bit numbers by radix; keys have 15 bits, so that all ends can come behind all beginnings
    order = (key | is_off.astype(np.int64) << 15).astype(np.uint16).argsort(kind="stable")
    begins, ends = np.split(order, [len(order) - int(np.count_nonzero(is_off))])
    if len(begins) == len(ends) and (key.take(begins) == key.take(ends)).all() and (begins < ends).all():
        # as many ends as beginnings, each after its own
        onset, end = tick.take(begins), tick.take(ends)
        has_length = (end > onset).nonzero()[0]
        rows = begins.take(has_length)
        back = order_of(rows)
        mended = {"stray_offs": 0, "hanging": 0, "without_length": len(begins) - len(rows)}
        return rows.take(back), end.take(has_length).take(back), mended
    order = np.argsort(key.astype(np.uint16), kind="stable")
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
    of_begin, of_end, groups = group[begins], group[ends], np.arange(int(is_new.sum()))
    offset = np.searchsorted(of_begin, groups) - np.searchsorted(of_end, groups)
    place = np.arange(len(ends)) + offset[of_end]
    onset, end = tick[order[begins]], np.full(len(begins), NONE)
    end[place] = tick[order[ends]]
    hangs = end == NONE
    end = np.where(hangs, np.maximum(last, onset + 1), end)
    has_length = end > onset
    mended = {"stray_offs": is_stray, "hanging": hangs, "without_length": ~has_length}
    rows, end = order[begins][has_length], end[has_length]
    back = np.argsort(rows)
    return rows[back], end[back], {name: int(np.count_nonzero(these)) for name, these in mended.items()}
