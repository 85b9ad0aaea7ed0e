"""A MIDI file read event by event, the slow and strict way: what is refused and what is passed over are the rules of
``etude.music.smf``, the code has nothing in common with it."""

from collections import defaultdict

LAST_TICK = 2**31 - 1


class Refused(Exception):
    """The file is damaged."""


def read_slowly(data):
    """Return tracks with notes as sorted (is drum, program, notes), and tempos.

    Notes are sorted (onset, duration, pitch, velocity), in ticks; tempos are (tick, microseconds).
    """
    division, number, tracks = chunks_of(data)
    if division < 0 and (-(division >> 8) not in (24, 25, 29, 30) or not division & 0xFF):
        raise Refused("time division")
    begin, voices, tempos = 0, defaultdict(list), []
    for source, (at, end) in enumerate(tracks):
        notes, own, length, last = read_track(data, at, end)
        if last > LAST_TICK or (number == 2 and begin + length > LAST_TICK):
            raise Refused("too long")
        offset = begin if number == 2 else 0
        if number == 2 and source and not any(tick == 0 for tick, _ in own):
            own.insert(0, (0, 500_000))
        tempos += [(tick + offset, value) for tick, value in own]
        for channel, program, onset, duration, pitch, velocity in notes:
            voices[source, channel, program].append((onset + offset, duration, pitch, velocity))
        begin += length
    rows = sorted((channel == 9, program, sorted(notes)) for (_, channel, program), notes in voices.items())
    return rows, tempos if division > 0 else None


def chunks_of(data):
    at = data[:256].find(b"MThd")
    if at < 0:
        raise Refused("no header")
    head = data[at:]
    if len(head) < 14:
        raise Refused("half a header")
    length, number = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:10], "big")
    division = int.from_bytes(head[12:14], "big", signed=True)
    if length < 6 or number > 2 or not division:
        raise Refused("a header that says nonsense")
    tracks, at = [], at + 8 + length
    while len(data) - at >= 8:
        length = int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == b"MTrk":
            tracks.append((at + 8, min(len(data), at + 8 + length)))
        at += 8 + length
    return division, number, tracks


def read_track(data, at, end):
    """Return notes, tempos, where the track ends, and the last tick of anything that is kept."""
    reader = _Bytes(data, at, end)
    tick = last = 0
    running = None
    program, sounding, notes, tempos = defaultdict(int), defaultdict(list), [], []
    while reader.at < end:
        tick += reader.number()
        status = reader.next() if reader.peek() >= 0x80 else running
        if status is None:
            raise Refused("data before any status")
        if status == 0xFF:
            kind = reader.next()
            payload = reader.take(reader.number())
            if kind == 0x2F:
                break
            last = max(last, tick)
            if kind == 0x51 and len(payload) == 3 and any(payload):
                tempos.append((tick, int.from_bytes(payload, "big")))
        elif status in (0xF0, 0xF7):
            reader.take(reader.number())
        elif status >= 0xF0:
            reader.take({0xF1: 1, 0xF2: 2, 0xF3: 1}.get(status, 0))
        else:
            running, channel = status, status & 0x0F
            first = reader.data_byte()
            if status & 0xE0 == 0xC0:
                if status < 0xD0:
                    program[channel] = first
                continue
            second = reader.data_byte()
            last = max(last, tick)
            voice = sounding[channel, first]
            if status & 0xF0 == 0x90 and second:
                voice.append((channel, program[channel], tick, first, second))
            elif status < 0xA0 and voice:
                channel, own, onset, pitch, velocity = voice.pop(0)
                notes.append((channel, own, onset, tick - onset, pitch, velocity))
    return notes, tempos, tick, last


class _Bytes:
    def __init__(self, data, at, end):
        self.data, self.at, self.end = data, at, end

    def peek(self):
        if self.at >= self.end:
            raise Refused("the track ends inside an event")
        return self.data[self.at]

    def next(self):
        value = self.peek()
        self.at += 1
        return value

    def data_byte(self):
        if self.peek() > 127:
            raise Refused("a status where a data byte was expected")
        return self.next()

    def number(self):
        value = 0
        for _ in range(4):
            byte = self.next()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise Refused("a number of more than 4 bytes")

    def take(self, length):
        if self.at + length > self.end:
            raise Refused("the track ends inside an event")
        self.at += length
        return self.data[self.at - length : self.at]
