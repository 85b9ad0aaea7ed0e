"""The events of a MIDI file as columns, found without a loop over notes.

Here the shape of the plain events is checked, the one thing that walking through a file leaves open.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from etude.errors import MidiError
from etude.music.columns import MAX_TICK
from etude.music.smf import Meta, ProgramChange, Walk, damaged


class Events(NamedTuple):
    """Everything in a file; a *source* is one of its track chunks, counted from 0.

    Plain events are columns in file order: ``tick`` int32 from the start of their track, ``status``, ``data1`` and
    ``data2`` uint8.
    """

    format: int
    division: int
    """As stored: ticks per quarter note, or SMPTE when negative."""
    tick: np.ndarray
    status: np.ndarray
    data1: np.ndarray
    data2: np.ndarray
    first_event: list[int]
    """Of each source: plain events before it; at last, how many there are."""
    programs: list[ProgramChange]
    metas: list[Meta]
    end_tick: list[int]
    """Where each source ends."""


def read_events(walk: Walk) -> Events:
    """Turn the runs of a walk into columns.

    Raises:
        MidiError: a run is damaged, or the piece is too long.
    """
    # only what lies in runs, and a byte in front, so that there is one before every event
    plain = np.frombuffer(b"".join([b"\0", *(walk.data[run.at : run.end] for run in walk.runs)]), np.uint8)
    # every third low byte ends a delta time; these are the places of the bytes before it
    before = (plain[1:] < 0x80).nonzero()[0][::3].copy()
    after = plain[2:].take(before)
    is_own = after >= 0x80
    before_data1 = before + is_own
    data1, data2 = plain[2:].take(before_data1), plain[3:].take(before_data1)
    if (data1 | data2).max(initial=0) >= 0x80:
        raise _wrong_shape(walk)
    # before the last byte of a delta time: a high one of the same, or a low one of the event before
    high = np.maximum(plain.take(before), 0x80).astype(np.uint16) & 0x7F
    delta = (high << 7 | plain[1:].take(before)).astype(np.int64)
    # each byte beside the next: where both are high, a delta time has more than two
    if (plain[1:] & plain[:-1]).max(initial=0) >= 0x80:
        at = ((plain[1:] & plain[:-1]) >= 0x80).nonzero()[0]
        rows = before.searchsorted(at)
        power = before[rows] + 1 - at
        if power.max() > 3:
            raise _wrong_shape(walk)
        np.add.at(delta, rows, (plain[at] & 0x7F).astype(np.int64) << 7 * power)
    for index, wait in walk.waits:
        delta[index] += wait

    first = [*walk.first_event, walk.num_events]
    tick = np.empty(len(delta), np.int64)
    last_tick = []
    for begin, end in pairwise(first):
        delta[begin:end].cumsum(out=tick[begin:end])
        last_tick.append(int(tick[end - 1]) if end > begin else 0)
    if max(last_tick, default=0) > MAX_TICK:
        raise MidiError(f"the piece is longer than {MAX_TICK} ticks")
    metas = [
        (source, wait + int(tick[index - 1]) if index > first[source] else wait, kind, payload)
        for index, source, wait, kind, payload in walk.metas
    ]
    return Events(
        format=walk.format,
        division=walk.division,
        tick=tick.astype(np.int32),
        status=_status(walk, after, is_own),
        data1=data1,
        data2=data2,
        first_event=first,
        programs=walk.programs,
        metas=metas,
        end_tick=[last + wait for last, (_, wait) in zip(last_tick, walk.ends, strict=True)],
    )


def _status(walk: Walk, after: np.ndarray, is_own: np.ndarray) -> np.ndarray:
    """Return the status of each plain event: the byte after its delta time, or that of an event before it."""
    with_own = is_own.nonzero()[0]
    if len(with_own) == len(after):
        return after
    for begin, end in pairwise([*walk.first_event, walk.num_events]):
        if begin < end and not is_own[begin]:
            runs = [0, *np.cumsum([run.num_events for run in walk.runs]).tolist()]
            at = walk.runs[runs.index(begin)].at
            raise damaged(at + int(walk.is_low[at:].argmax()), "data before any status")
    times = np.empty_like(with_own)
    np.subtract(with_own[1:], with_own[:-1], out=times[:-1])
    times[-1] = len(after) - with_own[-1]
    return after.take(with_own).repeat(times)


def _wrong_shape(walk: Walk) -> MidiError:
    """Return the error for the first event that is not a delta time, a status or none, and two data bytes."""
    steps, lows = [], []
    for run in walk.runs:
        # from each low byte to the next: to a delta time's last byte, to the first data byte, to the second
        low = walk.is_low[run.at : run.end].nonzero()[0]
        lows.append(run.at + low)
        steps.append(np.diff(low, prepend=-1))
    places, steps = np.concatenate(lows).reshape(-1, 3), np.concatenate(steps).reshape(-1, 3)
    for column, most, what in (
        (0, 4, "a number of more than 4 bytes"),
        (1, 2, "a status where a data byte was expected"),
        (2, 1, "a status where a data byte was expected"),
    ):
        row = int(steps[:, column].argmax())
        if steps[row, column] > most:
            return damaged(int(places[row, column]), what)
    raise AssertionError("every event has the shape that it should have")
