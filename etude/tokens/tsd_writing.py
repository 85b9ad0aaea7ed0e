"""Events to ids: the time that passes before each event, then the event's own ids.

Legend: E events, T ids, W ids of a wait at most, O ids of an event at most. All is written into a table (E, W + O), an
event a row, ``NONE`` where it has less, and what is not ``NONE`` are the ids. Time passes in steps of the section of
the event before.
"""

import numpy as np

from etude.tokens.id_facts import DRUMS
from etude.tokens.tsd_events import ALONE, LENGTH_AT, OFF, ON, PITCH_AT, Events
from etude.tokens.tsd_layout import NONE, Layout

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
        self.ids = np.full((max(map(len, split)), len(split)), NONE, np.int32)
        for time, ids in enumerate(split):
            self.ids[: len(ids), time] = ids


def ids_of_events(events: Events, layout: Layout, waits: Waits) -> np.ndarray:
    """Return the ids of a piece, int32 (T,)."""
    gap, is_rest = _gaps(events, layout, waits)
    longest: int | np.ndarray = waits.longest[0] if is_rest is None else np.array(waits.longest).take(is_rest)
    # as many of the longest as fit, and what is left of the wait
    whole = gap // longest if (gap >= longest).any() else None
    index = gap if whole is None else gap - whole * longest
    if is_rest is not None:
        index = index + waits.first_rest * is_rest
    own = _own_ids(events, layout)
    table = np.empty((len(gap), len(waits.ids) + len(own)), np.int32)
    for place, ids in enumerate(waits.ids):
        table[:, place] = ids.take(index)
    for place, column in enumerate(own, len(waits.ids)):
        table[:, place] = column
    is_there = (table >= 0).ravel()
    ids = np.compress(is_there, table.ravel())
    if whole is None:
        return ids
    ends = np.cumsum(np.count_nonzero(is_there.reshape(table.shape), axis=1))
    longest_id = np.array(waits.longest_id, np.int32).take(0 if is_rest is None else is_rest)
    places = np.repeat(np.append(0, ends[:-1]), whole)
    return np.insert(ids, places, np.repeat(np.broadcast_to(longest_id, whole.shape), whole))


def _own_ids(events: Events, layout: Layout) -> list[np.ndarray]:
    """Return the columns of what events are, each of them (E,)."""
    payload, is_alone = events.payload, events.kind == ALONE
    pitch = payload >> PITCH_AT
    if events.instrument is not None:
        pitch += (events.instrument == DRUMS) * np.int32(128)
    is_off = events.kind == OFF
    if layout.has_offs:
        pitch += is_off * np.int32(256)
    columns = [layout.pitch_ids.ravel().take(pitch, mode="clip")]
    if layout.settings.use_velocities:
        level = payload & _LEVEL_MASK
        level += layout.first("Velocity")
        np.putmask(level, is_off, NONE)
        columns.append(level)
    if not layout.has_offs:
        columns.append(((payload >> LENGTH_AT) & _LENGTH_MASK) + np.int32(layout.first("Duration")))
    if layout.settings.use_programs:
        columns.insert(0, _programs(events, layout, ~is_alone))
    alone = np.flatnonzero(is_alone)
    for column in columns:
        column[alone] = NONE
    columns[0][alone] = payload[alone] & _ID_MASK
    return columns


def _programs(events: Events, layout: Layout, is_note: np.ndarray) -> np.ndarray:
    """Return the id of the instrument before each note, ``NONE`` where it need not be told."""
    ids = layout.row_of_instrument.take(events.instrument) + layout.first("Program")
    if layout.settings.program_changes:
        rows = np.flatnonzero(is_note)
        instrument = events.instrument[rows]
        ids[rows[1:][instrument[1:] == instrument[:-1]]] = NONE
    return ids


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
