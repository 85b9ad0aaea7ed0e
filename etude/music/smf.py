"""Standard MIDI Files: bytes to events, strictly and without a loop over notes.

A track is mostly runs of *plain* events: note on, note off, key pressure, control change, pitch bend,
with or without their status byte (running status). Each holds exactly three bytes below 128: the end of
its delta time and two data bytes. So in a run every third low byte ends a delta time, and all of them are
found at once. What interrupts a run (meta events, system exclusive, program changes, channel pressure)
is rare and walked one by one; a byte that may begin such an event is found by its value.

What a careful reader does with what should not be there:

    refused       no header, no ticks per quarter, data before any status, data bytes above 127, delta
                  times over 4 bytes, events cut short by the end of their track, times past 2**31 - 1
    passed over   unknown chunks and meta events, everything after the end of a track, a header that is
                  too long or counts the tracks wrongly, a track length past the end, real-time bytes
    tolerated     running status that goes on after meta and system exclusive events; a track without an
                  end; up to 256 bytes in front of the header, which covers RIFF and MacBinary wrappers

Source: Standard MIDI Files 1.0 (MIDI Manufacturers Association, RP-001).
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from etude.errors import MidiError

MAX_TICK = 2**31 - 1
END_OF_TRACK = 0x2F
_META = 0xFF
_SYSTEM_EXCLUSIVE = (0xF0, 0xF7)
_MAX_JUNK_BYTES = 256
# system messages that do not belong in a file, and the data bytes they carry
_SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}


class ProgramChange(NamedTuple):
    """A channel's new program; ``index`` counts the plain events of the file that come before."""

    source: int
    index: int
    channel: int
    program: int


class Meta(NamedTuple):
    """A meta event other than the end of a track."""

    source: int
    tick: int
    type: int
    payload: bytes


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


def read_events(data: bytes) -> Events:
    """Read a whole file.

    Raises:
        MidiError: the bytes are no MIDI file or are damaged; the message does not name the file.
    """
    return Walk(data).events()


def _chunks(data: bytes) -> tuple[int, int, list[tuple[int, int]]]:
    """Return format, division, and where the content of each track begins and ends."""
    at = data.find(b"MThd", 0, _MAX_JUNK_BYTES)
    if at < 0:
        raise MidiError("not a MIDI file: " + ("it does not begin with MThd" if data else "it is empty"))
    if len(data) < at + 14:
        raise MidiError(f"the file ends inside its header, at byte {len(data)}")
    length = int.from_bytes(data[at + 4 : at + 8], "big")
    number = int.from_bytes(data[at + 8 : at + 10], "big")
    division = int.from_bytes(data[at + 12 : at + 14], "big", signed=True)
    if length < 6:
        raise MidiError(f"the header says it is {length} bytes long, expected at least 6")
    if number > 2:
        raise MidiError(f"format {number} is not known, expected 0, 1 or 2")
    if division == 0:
        raise MidiError("the header says 0 ticks per quarter note, expected at least 1")
    tracks, at = [], at + 8 + length
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "big")
        if data.startswith(b"MTrk", at):
            tracks.append((at + 8, min(at + 8 + length, len(data))))
        at += 8 + length
    return number, division, tracks


def _number(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a number of variable length; return it and the byte after it."""
    value = 0
    for position in range(at, min(at + 4, end)):
        value = value << 7 | data[position] & 0x7F
        if data[position] < 0x80:
            return value, position + 1
    raise _damaged(at, "a number of more than 4 bytes") if at + 4 <= end else _cut(end)


def _damaged(at: int, what: str) -> MidiError:
    return MidiError(f"damaged at byte {at}: {what}")


def _cut(end: int) -> MidiError:
    return _damaged(end, "the track ends inside an event")


class Run(NamedTuple):
    """Plain events that follow one another, from the byte ``at`` to before the byte ``end``."""

    at: int
    end: int
    num_events: int


class Walk:
    """The way through all tracks: notes where runs of plain events lie, reads the others.

    It finds all that is damaged except inside the runs, where ``events`` looks.
    """

    def __init__(self, data: bytes) -> None:
        """Walk through a whole file.

        Raises:
            MidiError: the bytes are no MIDI file or are damaged.
        """
        self.data = data
        self.runs: list[Run] = []
        self.num_events = 0
        self.first_event: list[int] = []
        """Of each source: plain events of the file before it."""
        self.waits: list[tuple[int, int]] = []
        """A plain event, and the ticks that other events waited between it and the one before it."""
        self.programs: list[ProgramChange] = []
        self.metas: list[tuple[int, int, Meta]] = []
        """Plain events before, and a meta event whose tick counts from the last of them."""
        self.ends: list[tuple[int, int]] = []
        """Of each source: plain events before its end, ticks waited since the last of them."""
        self.format, self.division, chunks = _chunks(data)
        self.bytes = np.frombuffer(data, np.uint8)
        self.is_low = self.bytes < 0x80
        # after a low byte, these values are the status of another event, or begin a long delta time
        is_other = self.bytes >= 0xF0
        is_other |= (self.bytes & 0xE0) == 0xC0
        is_other[1:] &= self.is_low[:-1]
        self._candidates = [*np.flatnonzero(is_other).tolist(), len(data)]
        self._next = 0
        for at, end in chunks:
            self._track(at, end)

    def _track(self, at: int, end: int) -> None:
        """Walk one track, whose content is ``data[at:end]``."""
        self.first_event.append(self.num_events)
        wait, running = 0, 0
        while at < end:
            if not (running and self._goes_on(at, end)):
                before, at = self.num_events, self._run(at, end)
                if self.num_events > before:
                    self.waits.append((before, wait))
                    wait, running = 0, 0
                if at == end:
                    break
            delta, at = _number(self.data, at, end)
            wait += delta
            if at == end:
                raise _cut(end)
            if self.data[at] >= 0x80:
                status, at = self.data[at], at + 1
            else:
                status = running
            if status < 0xF0:
                running = status
                at = self._short(status, at, end)
            elif status == _META:
                at, is_end = self._meta(wait, at, end)
                if is_end:
                    break
            else:
                at = self._system(status, at, end)
        self.ends.append((self.num_events, wait))

    def _goes_on(self, at: int, end: int) -> bool:
        """Tell whether the event at a byte has no status of its own."""
        _, at = _number(self.data, at, end)
        return at < end and self.data[at] < 0x80

    def _run(self, at: int, end: int) -> int:
        """Note the plain events from a byte on; return the byte after them."""
        place, begin, num_lows = self._next, at, 0
        while self._candidates[place] < at:
            place += 1
        # a candidate after whole events begins a delta time, one after a delta time is a status
        while (stop := self._candidates[place]) < end:
            num_lows += int(np.count_nonzero(self.is_low[begin:stop]))
            begin = stop
            if num_lows % 3:
                break
            place += 1
        self._next = place
        if stop >= end:
            num_lows += int(np.count_nonzero(self.is_low[begin:end]))
            stop = end
            if num_lows % 3 or not self.is_low[end - 1]:
                raise _cut(end)
        elif num_lows % 3 == 2:
            raise _damaged(stop, f"a data byte of {self.data[stop]}, expected at most 127")
        else:
            # back over the delta time of the event that interrupts the run
            stop -= 1
            while stop > at and self.data[stop - 1] >= 0x80:
                stop -= 1
        if num_lows >= 3:
            self.runs.append(Run(at, stop, num_lows // 3))
            self.num_events += num_lows // 3
        return stop

    def _short(self, status: int, at: int, end: int) -> int:
        """Read the data byte of a program change or channel pressure; return the byte after it."""
        if at >= end:
            raise _cut(end)
        if self.data[at] >= 0x80:
            raise _damaged(at, f"a data byte of {self.data[at]}, expected at most 127")
        if status < 0xD0:
            source = len(self.first_event) - 1
            self.programs.append(ProgramChange(source, self.num_events, status & 0x0F, self.data[at]))
        return at + 1

    def _meta(self, wait: int, at: int, end: int) -> tuple[int, bool]:
        """Read a meta event after its status; return the byte after it, and whether the track ends."""
        length, start = _number(self.data, at + 1, end)
        if start + length > end:
            raise _cut(end)
        kind = self.data[at]
        if kind != END_OF_TRACK:
            payload = self.data[start : start + length]
            self.metas.append((self.num_events, Meta(len(self.first_event) - 1, wait, kind, payload)))
        return start + length, kind == END_OF_TRACK

    def _system(self, status: int, at: int, end: int) -> int:
        """Pass over a system event after its status; return the byte after it."""
        if status in _SYSTEM_EXCLUSIVE:
            length, at = _number(self.data, at, end)
        else:
            length = _SYSTEM_DATA_BYTES.get(status, 0)
        if at + length > end:
            raise _cut(end)
        return at + length

    def first_channels(self) -> dict[int, int]:
        """Return the channel of the first plain event of each source that has any."""
        channels, before = {}, 0
        for run in self.runs:
            source = bisect_right(self.first_event, before) - 1
            if source not in channels:
                _, at = _number(self.data, run.at, run.end)
                channels[source] = self.data[at] & 0x0F
            before += run.num_events
        return channels

    def events(self) -> Events:
        """Turn the runs into columns.

        Raises:
            MidiError: a run is damaged, or the piece is too long.
        """
        is_inside = np.zeros_like(self.is_low)
        for run in self.runs:
            is_inside[run.at : run.end] = self.is_low[run.at : run.end]
        lows = np.flatnonzero(is_inside)
        # bytes from each low byte to the next: within an event, and from it to the delta time of the one after
        steps = np.empty(len(lows), np.int32)
        places = lows.astype(np.int32)
        np.subtract(places[1:], places[:-1], out=steps[1:])
        run_at, _, run_sizes = np.array(self.runs, np.int64).reshape(-1, 3).T
        begins = 3 * (np.cumsum(run_sizes) - run_sizes)
        steps[begins] = lows[begins] - run_at + 1
        _check_shape(steps, lows)
        low_bytes = self.bytes.take(lows)
        delta = _delta(self.bytes, low_bytes[0::3], lows[0::3], steps[0::3] - 1)
        for index, wait in self.waits:
            delta[index] += wait

        # the sum runs through all tracks: what lies before each is taken off again
        total = np.zeros(len(delta) + 1, np.int64)
        np.cumsum(delta, out=total[1:])
        first = np.array([*self.first_event, len(delta)])
        sizes = np.diff(first)
        before = total[first[:-1]]
        tick = total[1:] if len(sizes) < 2 else total[1:] - np.repeat(before, sizes)
        if tick.max(initial=0) > MAX_TICK:
            raise MidiError(f"the piece is longer than {MAX_TICK} ticks")
        return Events(
            format=self.format,
            division=self.division,
            tick=tick.astype(np.int32),
            source=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
            status=_status(self.bytes, lows[0::3], steps[1::3] == 2, first[:-1][sizes > 0]),
            data1=low_bytes[1::3].copy(),
            data2=low_bytes[2::3].copy(),
            programs=self.programs,
            metas=[
                meta._replace(tick=int(total[index] - before[meta.source]) + meta.tick)
                for index, meta in self.metas
            ],
            end_tick=[
                int(total[index] - at) + wait for (index, wait), at in zip(self.ends, before, strict=True)
            ],
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
            raise _damaged(int(lows[3 * int(column.argmax()) + place]), what)


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
        raise _damaged(int(delta_end[first[has_status[first].argmin()]]), "data before any status")
    own = data.take(delta_end[has_status] + 1)
    return own.take(np.cumsum(has_status) - 1)
