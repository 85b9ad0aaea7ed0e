"""Events to ids: the time that passes before each event, then the event's own ids.

Legend: E events, T ids, W ids of a wait. Time passes in steps of the section of the event before.
"""

import numpy as np

from etude.tokens.id_facts import DRUMS
from etude.tokens.tsd_events import ALONE, LENGTH_AT, OFF, ON, PITCH_AT, Events
from etude.tokens.tsd_layout import Layout

_LEVEL_MASK, _LENGTH_MASK, _ID_MASK = (1 << LENGTH_AT) - 1, (1 << PITCH_AT - LENGTH_AT) - 1, (1 << 24) - 1


class Waits:
    """The ids of every wait up to the longest of its ladder, as tables: shifts first, then rests.

    Args:
        layout: has the ladders.
    """

    def __init__(self, layout: Layout) -> None:
        """Split every wait once."""
        shifts, rests = layout.shifts, layout.rests
        split = [shifts.split(time) for time in range(shifts.longest)]
        self.first_rest = len(split)
        ladders = [shifts] if rests is None else [shifts, rests]
        if rests is not None:
            split += [rests.split(time) + shifts.split(rests.left_after(time)) for time in range(rests.longest)]
        self.longest = [ladder.longest for ladder in ladders]
        self.longest_id = [ladder.first_id + len(ladder.steps) - 1 for ladder in ladders]
        self.shortest_rest = 0 if rests is None else int(rests.steps[0])
        self.count = np.array([len(ids) for ids in split], np.int64)
        self.ids = np.zeros((max(int(self.count.max()), 1), len(split)), np.int32)
        for time, ids in enumerate(split):
            self.ids[: len(ids), time] = ids


def ids_of_events(events: Events, layout: Layout, waits: Waits) -> np.ndarray:
    """Return the ids of a piece, int32 (T,)."""
    own = np.array([1, 1, layout.ids_of_a_note], np.int64).take(events.kind)
    has_program = _program_rows(events, layout)
    if has_program is not None:
        own[has_program] += 1
    gap, is_rest = _gaps(events, layout, waits)
    longest: int | np.ndarray = waits.longest[0]
    if is_rest is not None:
        longest = np.array(waits.longest).take(is_rest)
    # as many of the longest as fit, and what is left of the wait
    whole = gap // longest if (gap >= longest).any() else None
    index = gap if whole is None else gap - whole * longest
    if is_rest is not None:
        index = index + waits.first_rest * is_rest
    count = waits.count.take(index)
    size = count + own
    if whole is not None:
        size += whole
    ends = np.cumsum(size)
    ids = np.empty(int(ends[-1]), np.int32)
    first = ends - size
    if whole is not None:
        _write_whole(ids, first, whole, np.array(waits.longest_id).take(0 if is_rest is None else is_rest))
        first += whole
    # where nothing is left, this falls on an id that the event itself writes again
    ids[first] = waits.ids[0].take(index)
    for place in range(1, len(waits.ids)):
        rows = np.flatnonzero(count > place)
        ids[first[rows] + place] = waits.ids[place].take(index[rows])
    _write_own(ids, ends, events, layout)
    if has_program is not None:
        at = (ends - own).take(has_program)
        ids[at] = layout.first("Program") + layout.row_of_instrument.take(events.instrument.take(has_program))
    return ids


def _write_whole(ids: np.ndarray, first: np.ndarray, whole: np.ndarray, longest_id: np.ndarray) -> None:
    """Write the longest waits, ``whole[e]`` of them from ``first[e]`` on."""
    places = np.arange(int(whole.sum())) + np.repeat(first - (np.cumsum(whole) - whole), whole)
    ids[places] = np.repeat(np.broadcast_to(longest_id, whole.shape), whole)


def _program_rows(events: Events, layout: Layout) -> np.ndarray | None:
    """Return the events that have their instrument before them."""
    if not layout.settings.use_programs:
        return None
    rows = np.flatnonzero(events.kind)
    if layout.settings.program_changes:
        instrument = events.instrument.take(rows)
        rows = rows[np.append(True, instrument[1:] != instrument[:-1])]
    return rows


def _gaps(events: Events, layout: Layout, waits: Waits) -> tuple[np.ndarray, np.ndarray | None]:
    """Return how many steps to wait before each event, and whether (1 or 0) it is a silence told as a rest."""
    tick, grid = events.tick, events.grid
    before = np.empty_like(tick)
    before[0], before[1:] = 0, tick[:-1]
    gap = tick - before
    if waits.shortest_rest == 0:
        return gap if grid.is_even else gap // grid.step_at(before), None
    silence = tick - np.maximum(before, _end_before(events, layout))
    step = grid.step_at(before)
    is_rest = silence >= waits.shortest_rest * step
    return np.where(is_rest, silence, gap) // step, is_rest.astype(np.int64)


def _end_before(events: Events, layout: Layout) -> np.ndarray:
    """Return when the last of the notes ends that begin before each event."""
    tick, is_on = events.tick, events.kind == ON
    if layout.has_offs:
        # while something sounds there is no silence, and else the last end is an event itself
        sounding = np.cumsum(is_on.astype(np.int64) - (events.kind == OFF))
        end = np.where(sounding > 0, np.iinfo(np.int64).max >> 1, tick)
    else:
        length = layout.durations.steps.take((events.payload >> LENGTH_AT) & _LENGTH_MASK, mode="clip")
        end = np.maximum.accumulate(np.where(is_on, tick + length * events.grid.step_at(tick), 0))
    return np.append(0, end[:-1])


def _write_own(ids: np.ndarray, ends: np.ndarray, events: Events, layout: Layout) -> None:
    """Write what events are, up to their ends."""
    notes = _rows(events.kind == ON)
    alone = np.flatnonzero(events.kind == ALONE)
    ids[ends[alone] - 1] = events.payload[alone] & _ID_MASK
    at, payload = ends[notes] - 1, events.payload[notes]
    if not layout.has_offs:
        ids[at] = ((payload >> LENGTH_AT) & _LENGTH_MASK) + layout.first("Duration")
        at -= 1
    if layout.settings.use_velocities:
        ids[at] = (payload & _LEVEL_MASK) + layout.first("Velocity")
        at -= 1
    _write_pitches(ids, at, events, notes, layout.pitch_ids[0])
    if layout.has_offs:
        offs = _rows(events.kind == OFF)
        _write_pitches(ids, ends[offs] - 1, events, offs, layout.pitch_ids[1])


def _rows(is_there: np.ndarray) -> np.ndarray | slice:
    """Return the rows that are, as a slice where they follow one another: that copies nothing."""
    rows = np.flatnonzero(is_there)
    is_run = len(rows) and rows[-1] - rows[0] + 1 == len(rows)
    return slice(int(rows[0]), int(rows[-1]) + 1) if is_run else rows


def _write_pitches(
    ids: np.ndarray, at: np.ndarray, events: Events, rows: np.ndarray | slice, pitch_ids: np.ndarray
) -> None:
    """Write ids of pitches; ``pitch_ids`` (2, 128) has a row for drums."""
    pitch = events.payload[rows] >> PITCH_AT
    if events.instrument is not None:
        pitch += (events.instrument[rows] == DRUMS) * np.int32(128)
    ids[at] = pitch_ids.ravel().take(pitch)
