"""The events of a MIDI file as columns, found without a loop over notes.

Here the shape of the plain events is checked, the one thing that walking through a file leaves open.
"""

from dataclasses import dataclass

import numpy as np

from etude.errors import MidiError
from etude.music.columns import MAX_TICK
from etude.music.smf import Meta, ProgramChange, Walk, damaged


@dataclass(frozen=True)
class Events:
    """Everything in a file; ``source`` counts its track chunks from 0.

    Plain events are columns in file order: ``tick`` int32 from the start of their track, ``source`` int32,
    ``status``, ``data1`` and ``data2`` uint8.
    """

    format: int
    division: int
    """As stored: ticks per quarter note, or SMPTE when negative."""
    tick: np.ndarray
    source: np.ndarray
    status: np.ndarray
    data1: np.ndarray
    data2: np.ndarray
    programs: list[ProgramChange]
    metas: list[Meta]
    end_tick: list[int]
    """Where each source ends."""


def read_events(walk: Walk) -> Events:
    """Turn the runs of a walk into columns.

    Raises:
        MidiError: a run is damaged, or the piece is too long.
    """
    is_inside = np.zeros_like(walk.is_low)
    for run in walk.runs:
        is_inside[run.at : run.end] = walk.is_low[run.at : run.end]
    lows = np.flatnonzero(is_inside)
    # bytes from each low byte to the next: within an event, and from it to the delta time of the one after
    steps = np.empty(len(lows), np.int32)
    places = lows.astype(np.int32)
    np.subtract(places[1:], places[:-1], out=steps[1:])
    run_at, _, run_sizes = np.array(walk.runs, np.int64).reshape(-1, 3).T
    begins = 3 * (np.cumsum(run_sizes) - run_sizes)
    steps[begins] = lows[begins] - run_at + 1
    _check_shape(steps, lows)
    low_bytes = walk.bytes.take(lows)
    delta = _delta(walk.bytes, low_bytes[0::3], lows[0::3], steps[0::3] - 1)
    for index, wait in walk.waits:
        delta[index] += wait

    # the sum runs through all tracks: what lies before each is taken off again
    total = np.zeros(len(delta) + 1, np.int64)
    np.cumsum(delta, out=total[1:])
    first = np.array([*walk.first_event, len(delta)])
    sizes = np.diff(first)
    before = total[first[:-1]]
    tick = total[1:] if len(sizes) < 2 else total[1:] - np.repeat(before, sizes)
    if tick.max(initial=0) > MAX_TICK:
        raise MidiError(f"the piece is longer than {MAX_TICK} ticks")
    return Events(
        format=walk.format,
        division=walk.division,
        tick=tick.astype(np.int32),
        source=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
        status=_status(walk.bytes, lows[0::3], steps[1::3] == 2, first[:-1][sizes > 0]),
        data1=low_bytes[1::3].copy(),
        data2=low_bytes[2::3].copy(),
        programs=walk.programs,
        metas=[meta._replace(tick=int(total[index] - before[meta.source]) + meta.tick) for index, meta in walk.metas],
        end_tick=[int(total[index] - at) + wait for (index, wait), at in zip(walk.ends, before, strict=True)],
    )


def _check_shape(steps: np.ndarray, lows: np.ndarray) -> None:
    """Refuse events other than: a delta time, a status or none, two data bytes."""
    for place, most, what in (
        (0, 4, "a number of more than 4 bytes"),
        (1, 2, "a status where a data byte was expected"),
        (2, 1, "a status where a data byte was expected"),
    ):
        column = steps[place::3]
        if column.max(initial=0) > most:
            raise damaged(int(lows[3 * int(column.argmax()) + place]), what)


def _delta(data: np.ndarray, low_byte: np.ndarray, delta_end: np.ndarray, high_bytes: np.ndarray) -> np.ndarray:
    """Return the ticks, int64, that each plain event waits; ``high_bytes`` of it lie before ``delta_end``."""
    delta = low_byte.astype(np.int64)
    most = int(high_bytes.max(initial=0))
    if most:
        # every event has two bytes in front of it at least: the ones of the file's header
        high = data.take(delta_end - 1) & 0x7F
        high *= high_bytes > 0
        delta += high.astype(np.int64) << 7
    for place in range(2, most + 1):
        rows = np.flatnonzero(high_bytes >= place)
        delta[rows] += (data.take(delta_end[rows] - place) & 0x7F).astype(np.int64) << 7 * place
    return delta


def _status(data: np.ndarray, delta_end: np.ndarray, has_status: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the status of each plain event, which may stand in an event before it in the same track."""
    if has_status.all():
        return data.take(delta_end + 1)
    if not has_status[first].all():
        raise damaged(int(delta_end[first[has_status[first].argmin()]]), "data before any status")
    own = data.take(delta_end[has_status] + 1)
    return own.take(np.cumsum(has_status) - 1)
