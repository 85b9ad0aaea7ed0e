"""A MIDI file read event by event, the slow and plain way, to compare with."""

from collections import defaultdict


def read_plainly(data):
    """Return notes as (source, channel, program, onset, duration, pitch, velocity) in order, and tempos."""
    at, source, notes, tempos = 14, -1, [], []
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == b"MTrk":
            source += 1
            _track(data, at + 8, at + 8 + length, source, notes, tempos)
        at += 8 + length
    return sorted(notes), sorted(tempos, key=lambda row: row[0])


def _track(data, at, end, source, notes, tempos):
    tick, running = 0, 0
    program, sounding = defaultdict(int), defaultdict(list)
    while at < end:
        wait, at = _number(data, at)
        tick += wait
        status = data[at]
        if status < 0x80:
            status = running
        else:
            at += 1
        if status == 0xFF:
            kind = data[at]
            size, at = _number(data, at + 1)
            if kind == 0x2F:
                return
            if kind == 0x51 and size == 3 and any(data[at : at + 3]):
                tempos.append((tick, int.from_bytes(data[at : at + 3], "big")))
            at += size
        elif status >= 0xF0:
            size, at = _number(data, at)
            at += size
        else:
            running, channel = status, status & 0x0F
            if 0xC0 <= status < 0xE0:
                if status < 0xD0:
                    program[channel] = data[at]
                at += 1
                continue
            pitch, velocity = data[at], data[at + 1]
            at += 2
            if status >= 0xA0:
                continue
            if status >= 0x90 and velocity:
                sounding[channel, pitch].append((tick, program[channel], velocity))
            elif sounding[channel, pitch]:
                onset, own, struck = sounding[channel, pitch].pop(0)
                notes.append((source, channel, own, onset, tick - onset, pitch, struck))


def _number(data, at):
    value = 0
    while data[at] >= 0x80:
        value, at = value << 7 | data[at] & 0x7F, at + 1
    return value << 7 | data[at], at + 1
