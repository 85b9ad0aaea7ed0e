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

from struct import Struct
from typing import NamedTuple

import numpy as np

from etude.errors import MidiError

END_OF_TRACK = 0x2F
_META = 0xFF
_SYSTEM_EXCLUSIVE = (0xF0, 0xF7)
_MAX_JUNK_BYTES = 256
# its length, format and division; of a track or an unknown chunk, its kind and length
_HEADER, _CHUNK = Struct(">4xIH2xh"), Struct(">4sI")
# system messages that do not belong in a file, and the data bytes they carry
_SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}


class ProgramChange(NamedTuple):
    """A channel's new program; ``index`` counts the plain events of the file that come before."""

    source: int
    index: int
    channel: int
    program: int


Meta = tuple[int, int, int, bytes]
"""A meta event other than the end of a track: source, tick, type, payload."""


def _chunks(data: bytes) -> tuple[int, int, list[tuple[int, int]]]:
    """Return format, division, and where the content of each track begins and ends."""
    at = data.find(b"MThd", 0, _MAX_JUNK_BYTES)
    if at < 0:
        raise MidiError("not a MIDI file: " + ("it does not begin with MThd" if data else "it is empty"))
    if len(data) < at + 14:
        raise MidiError(f"the file ends inside its header, at byte {len(data)}")
    length, number, division = _HEADER.unpack_from(data, at)
    if length < 6:
        raise MidiError(f"the header says it is {length} bytes long, expected at least 6")
    if number > 2:
        raise MidiError(f"format {number} is not known, expected 0, 1 or 2")
    if division == 0:
        raise MidiError("the header says 0 ticks per quarter note, expected at least 1")
    tracks, at = [], at + 8 + length
    while at + 8 <= len(data):
        kind, length = _CHUNK.unpack_from(data, at)
        at += 8
        if kind == b"MTrk":
            tracks.append((at, min(at + length, len(data))))
        at += length
    return number, division, tracks


def _number(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a number of variable length; return it and the byte after it."""
    if at < end and data[at] < 0x80:
        return data[at], at + 1
    value = 0
    for position in range(at, min(at + 4, end)):
        value = value << 7 | data[position] & 0x7F
        if data[position] < 0x80:
            return value, position + 1
    raise damaged(at, "a number of more than 4 bytes") if at + 4 <= end else cut(end)


def damaged(at: int, what: str) -> MidiError:
    """Return the error for a file that is wrong at a byte."""
    return MidiError(f"damaged at byte {at}: {what}")


def cut(end: int) -> MidiError:
    """Return the error for an event that goes on after its track."""
    return damaged(end, "the track ends inside an event")


class Run(NamedTuple):
    """Plain events that follow one another, from the byte ``at`` to before the byte ``end``."""

    at: int
    end: int
    num_events: int


class Walk:
    """The way through all tracks: notes where runs of plain events lie, reads the others.

    It finds all that is damaged except inside the runs, where ``smf_events`` looks.
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
        """A plain event, and the ticks, if any, that other events waited between it and the one before it."""
        self.programs: list[ProgramChange] = []
        self.metas: list[tuple[int, int, int, int, bytes]] = []
        """Plain events before, then as ``Meta``, but the tick counts from the last of them."""
        self.ends: list[tuple[int, int]] = []
        """Of each source: plain events before its end, ticks waited since the last of them."""
        self.format, self.division, chunks = _chunks(data)
        self.bytes = np.frombuffer(data, np.uint8)
        self.is_low = self.bytes < 0x80
        # after a low byte, these values are the status of another event, or begin a long delta time
        is_other = self.bytes >= 0xF0
        is_other |= (self.bytes & 0xE0) == 0xC0
        is_other[1:] &= self.is_low[:-1]
        self._candidates = [*is_other.nonzero()[0].tolist(), len(data)]
        self._next = 0
        for at, end in chunks:
            self._track(at, end)

    def _track(self, at: int, end: int) -> None:
        """Walk one track, whose content is ``data[at:end]``."""
        data, metas, source, num_events = self.data, self.metas, len(self.first_event), self.num_events
        self.first_event.append(num_events)
        wait, running = 0, 0
        while at < end:
            # most events that interrupt runs are seen at once: their delta time is one byte
            status = data[at + 1] if data[at] < 0x80 and at + 1 < end else 0
            if status == _META and at + 3 < end and (length := data[at + 3]) < 0x80 and at + 4 + length <= end:
                wait += data[at]
                kind, at = data[at + 2], at + 4 + length
                if kind == END_OF_TRACK:
                    break
                metas.append((num_events, source, wait, kind, data[at - length : at]))
                continue
            is_plain = status < 0xC0 or 0xE0 <= status < 0xF0
            if is_plain and not (running and self._goes_on(at, end)):
                at = self._run(at, end)
                if self.num_events > num_events:
                    if wait:
                        self.waits.append((num_events, wait))
                    wait, running, num_events = 0, 0, self.num_events
                if at == end:
                    break
            delta, at = _number(data, at, end)
            wait += delta
            if at == end:
                raise cut(end)
            status = running
            if data[at] >= 0x80:
                status, at = data[at], at + 1
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
                raise cut(end)
        elif num_lows % 3 == 2:
            raise damaged(stop, f"a data byte of {self.data[stop]}, expected at most 127")
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
            raise cut(end)
        if self.data[at] >= 0x80:
            raise damaged(at, f"a data byte of {self.data[at]}, expected at most 127")
        if status < 0xD0:
            source = len(self.first_event) - 1
            self.programs.append(ProgramChange(source, self.num_events, status & 0x0F, self.data[at]))
        return at + 1

    def _meta(self, wait: int, at: int, end: int) -> tuple[int, bool]:
        """Read a meta event after its status; return the byte after it, and whether the track ends."""
        length, start = _number(self.data, at + 1, end)
        if start + length > end:
            raise cut(end)
        kind = self.data[at]
        if kind != END_OF_TRACK:
            payload = self.data[start : start + length]
            self.metas.append((self.num_events, len(self.first_event) - 1, wait, kind, payload))
        return start + length, kind == END_OF_TRACK

    def _system(self, status: int, at: int, end: int) -> int:
        """Pass over a system event after its status; return the byte after it."""
        if status in _SYSTEM_EXCLUSIVE:
            length, at = _number(self.data, at, end)
        else:
            length = _SYSTEM_DATA_BYTES.get(status, 0)
        if at + length > end:
            raise cut(end)
        return at + length
