"""Real MIDI files and what damage, mistakes and mischief make of them; all follows from a seed and a number."""

import itertools
import tarfile
from pathlib import Path

import numpy as np

from etude.corpora.sampler import iter_pieces
from etude.music.midi import midi_bytes
from etude.randomness import generator

_MAX_BYTES = 60_000


def sources(shared=None, *, each=60):
    """Return the bytes of whole files: pieces of the sampler, and some of every set of the shared data."""
    found = [midi_bytes(piece.score) for piece in itertools.islice(iter_pieces("train"), each)]
    for archive in sorted(shared.glob("*/*.tar.gz")) if shared else []:
        with tarfile.open(archive, "r|gz") as members:
            files = (one for one in members if one.name.lower().endswith((".mid", ".midi")))
            small = (members.extractfile(one).read() for one in files if one.size <= _MAX_BYTES)
            found += itertools.islice(small, each)
    odd = sorted(Path(shared, "odd_midi").rglob("*.mid")) if shared else []
    return found + [file.read_bytes() for file in odd if 0 < file.stat().st_size <= _MAX_BYTES]


def fuzzed(files, seed, number):
    """Return the bytes of one file; a fiftieth is as it was."""
    draw = generator(seed, "fuzz", number)
    data = files[draw.integers(len(files))]
    if draw.integers(50) == 0:
        return data
    for _ in range(int(draw.choice([1, 1, 1, 2, 3]))):
        change = _CHANGES[draw.integers(len(_CHANGES))]
        data = change(data, files[draw.integers(len(files))], draw) or data
    return data


def _flip_bits(data, other, draw):
    values = np.frombuffer(data, np.uint8).copy()
    at = draw.integers(len(values), size=draw.integers(1, 9))
    np.bitwise_xor.at(values, at, (1 << draw.integers(8, size=len(at))).astype(np.uint8))
    return values.tobytes()


def _set_bytes(data, other, draw):
    values = bytearray(data)
    for at in draw.integers(len(values), size=draw.integers(1, 9)):
        values[at] = _TELLING[draw.integers(len(_TELLING))]
    return bytes(values)


def _flip_low_bits(data, other, draw):
    """Change pitches, velocities, values and short delta times, which leaves a file's structure whole."""
    values = np.frombuffer(data, np.uint8).copy()
    low = np.flatnonzero(values[30:] < 0x80) + 30
    if len(low):
        at = draw.choice(low, size=draw.integers(1, 9))
        np.bitwise_xor.at(values, at, (1 << draw.integers(7, size=len(at))).astype(np.uint8))
    return values.tobytes()


def _change_statuses(data, other, draw):
    """Make other events of some: on another channel, or another kind with as many bytes."""
    values = np.frombuffer(data, np.uint8).copy()
    high = np.flatnonzero((values[22:] >= 0x80) & (values[22:] < 0xC0)) + 22
    for at in draw.choice(high, size=draw.integers(1, 5)) if len(high) else ():
        kind = draw.choice([0x80, 0x90, 0xA0, 0xB0, 0xE0]) if draw.integers(2) else values[at] & 0xF0
        values[at] = kind | draw.integers(16) if draw.integers(2) else kind | values[at] & 0x0F
    return values.tobytes()


def _swap_ends(data, other, draw):
    """Make beginnings of ends of notes and the other way round: overlaps, notes without end, ends without note."""
    values = np.frombuffer(data, np.uint8).copy()
    on_or_off = np.flatnonzero((values[22:] & 0xE0) == 0x80) + 22
    if len(on_or_off):
        values[draw.choice(on_or_off, size=draw.integers(1, 9))] ^= 0x10
    return values.tobytes()


def _flip_in_the_structure(data, other, draw):
    """Change a bit near a chunk's beginning: format, division, lengths, the first events."""
    at = _chunk_starts(data)[draw.integers(len(_chunk_starts(data)))] + int(draw.integers(24))
    if at >= len(data):
        return data
    return data[:at] + bytes([data[at] ^ 1 << int(draw.integers(8))]) + data[at + 1 :]


def _truncate(data, other, draw):
    return data[: draw.integers(1, len(data) + 1)]


def _truncate_in_peace(data, other, draw):
    """Cut the last track and correct its length, so that only events are missing or cut."""
    start = _chunk_starts(data)[-1]
    if start + 8 >= len(data):
        return data
    end = int(draw.integers(start + 8, len(data)))
    return data[: start + 4] + (end - start - 8).to_bytes(4, "big") + data[start + 8 : end]


def _remove(data, other, draw):
    at = int(draw.integers(len(data)))
    return data[:at] + data[at + int(draw.integers(1, 9)) :]


def _repeat(data, other, draw):
    at, length = int(draw.integers(len(data))), int(draw.integers(1, 33))
    return data[: at + length] + data[at:]


def _splice(data, other, draw):
    return data[: draw.integers(1, len(data) + 1)] + other[draw.integers(len(other)) :]


def _insert(data, other, draw):
    at, start, length = int(draw.integers(len(data))), int(draw.integers(len(other))), int(draw.integers(1, 200))
    return data[:at] + other[start : start + length] + data[at:]


def _insert_event(data, other, draw):
    at = int(draw.integers(len(data)))
    return data[:at] + _EVENTS[draw.integers(len(_EVENTS))] + data[at:]


def _mix_tracks(data, other, draw):
    chunks = [*_chunks(data)[1:], *_chunks(other)[1:]]
    if not chunks:
        return data
    kept = [chunks[k] for k in draw.permutation(len(chunks))[: draw.integers(1, len(chunks) + 1)]]
    return _chunks(data)[0] + b"".join(kept)


def _change_header(data, other, draw):
    fields = [
        int(draw.choice([0, 1, 2, 3])).to_bytes(2, "big"),
        int(draw.integers(1 << 16)).to_bytes(2, "big"),
        [b"\x00\x00", b"\x00\x01", b"\x7f\xff", b"\xe7\x28", b"\xe8\x04", b"\xe3\x50", b"\x80\x00"][draw.integers(7)],
    ]
    at = data.find(b"MThd") + 8
    which = int(draw.integers(3))
    return data[: at + 2 * which] + fields[which] + data[at + 2 * which + 2 :]


def _chunk_starts(data):
    starts, at = [], data.find(b"MTrk")
    while at >= 0 and len(starts) < 100:
        starts.append(at)
        at = data.find(b"MTrk", at + 4)
    return [0, *starts]


def _chunks(data):
    starts = [*_chunk_starts(data), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(starts)]


_TELLING = bytes([0, 1, 0x2F, 0x51, 0x7F, 0x80, 0x81, 0x90, 0x99, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0, 0xF7, 0xF8, 0xFF])
_EVENTS = [
    b"\x00\xff\x2f\x00",
    b"\x00\xc0\x05",
    b"\x00\x90\x3c\x40",
    b"\x00\x80\x3c\x40",
    b"\x00\xf0\x03\x01\x02\xf7",
    b"\x00\xf8",
    b"\x00\xff\x51\x03\x00\x00\x01",
    b"\x00\xff\x51\x03\x00\x00\x00",
    b"\x00\xff\x58\x04\x00\xff\x00\x00",
    b"\x00\xff\x59\x02\x7f\x05",
    b"\x00\xff\x03\x04\xff\xfe\x80\x00",
    b"\xff\xff\xff\x7f\x90\x3c\x40",
    b"\xff\xff\xff\xff\x7f\x3c\x40",
    b"\x00\xff\x01\xff\xff\xff\x7f",
]
_CHANGES = [
    _flip_bits,
    _set_bytes,
    _flip_low_bits,
    _flip_low_bits,
    _change_statuses,
    _change_statuses,
    _swap_ends,
    _flip_in_the_structure,
    _truncate,
    _truncate_in_peace,
    _remove,
    _repeat,
    _splice,
    _insert,
    _insert_event,
    _mix_tracks,
    _change_header,
]
