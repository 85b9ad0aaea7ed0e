"""A Score to the bytes of a MIDI file, without a loop over notes.

Format 1: a first track with tempos, signatures and the texts of the whole piece, then one track per track
of the Score, each with its status bytes written out. At one tick come texts, then controls and bends, the
program, note ends, note beginnings, and last the ends of notes of no length. Drums go to channel 10.
Other tracks get a channel each while there are 15 of them or fewer, and else one channel per program.

Two notes of one pitch and track of which the one that begins later ends earlier swap their ends, because
MIDI says only which pitch ends.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from etude.errors import MidiError
from etude.music.check import check_score
from etude.music.columns import MAX_TICK
from etude.music.midi_in import DRUM_CHANNEL, KEY_SIGNATURE, TEMPO, TIME_SIGNATURE, TRACK_NAME
from etude.music.order import order_of
from etude.music.score import TEXT_KINDS, WHOLE_PIECE, Controls, PitchBends, Score

_LARGEST_DELTA = 0x0FFFFFFF
_BANK_SELECT = (0, 32)
_END_OF_TRACK = b"\x00\xff\x2f\x00"
# within one tick; a program comes after the bank that it is chosen from
_TEXT, _CONTROL, _PROGRAM, _NOTE_END, _NOTE_BEGIN, _EMPTY_NOTE_END = range(6)
_TICK_AT = 3
"""Where the tick stands in a key; below it is one of those ranks."""
_RELEASE_VELOCITY = 64
_LEAD = 5
"""Bytes of an event with a delta time of two bytes."""


def bytes_of(score: Score) -> bytes:
    """Return the MIDI file that holds a Score.

    Raises:
        MidiError: a value of the Score does not fit into MIDI.
    """
    problems = check_score(score)
    if problems:
        raise MidiError(f"{problems[0].where}: {problems[0].message}")
    if score.ppq > 0x7FFF:
        raise MidiError(f"ppq = {score.ppq}: MIDI holds at most 32767 ticks per quarter note; use edit.resample")
    end_tick = np.add(score.notes.onset_tick, score.notes.duration_tick, dtype=np.int64)
    channels, last_tick = channels_of(score).astype(np.uint8), _last_tick(score, end_tick)
    blobs = _blobs(score, channels.tolist(), last_tick)
    chunks = _chunks(_events(score, channels, end_tick, blobs), blobs.content, len(score.tracks) + 1)
    header = b"MThd" + b"".join(
        number.to_bytes(size, "big") for number, size in ((6, 4), (1, 2), (len(chunks), 2), (score.ppq, 2))
    )
    return header + b"".join([b"MTrk" + len(chunk).to_bytes(4, "big") + chunk for chunk in chunks])


def channels_of(score: Score) -> np.ndarray:
    """Return the channel of each track."""
    melodic = [index for index, track in enumerate(score.tracks) if not track.is_drum]
    if len(melodic) <= 15:
        place = {index: place for place, index in enumerate(melodic)}
    else:
        programs = list(dict.fromkeys(score.tracks[index].program for index in melodic))
        place = {index: programs.index(score.tracks[index].program) % 15 for index in melodic}
    free = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    channels = [free[place[index]] if index in place else DRUM_CHANNEL for index in range(len(score.tracks))]
    return np.array(channels, np.int64)


class _Blobs:
    """Events that are not three bytes long, collected one by one: there are few."""

    def __init__(self, last_tick: int) -> None:
        self.chunk_at = _TICK_AT + last_tick.bit_length()
        """Where the number of the chunk stands in a key."""
        self.key: list[int] = []
        self.content: list[bytes] = []

    def add(self, chunk: int, tick: int, rank: int, content: bytes) -> None:
        self.key.append(chunk << self.chunk_at | tick << _TICK_AT | rank)
        self.content.append(content)

    def meta(self, chunk: int, tick: int, kind: int, payload: bytes) -> None:
        self.add(chunk, tick, _TEXT, bytes([0xFF, kind]) + _number(len(payload)) + payload)


def _number(value: int) -> bytes:
    """Return a number of variable length."""
    size = bytes([value & 0x7F])
    while value := value >> 7:
        size = bytes([value & 0x7F | 0x80]) + size
    return size


def _blobs(score: Score, channels: list[int], last_tick: int) -> _Blobs:
    """Collect names, texts, tempos, signatures and programs."""
    blobs, texts = _Blobs(last_tick), score.texts
    named = {track for track, kind in zip(texts.track.tolist(), texts.kind, strict=True) if kind == "track_name"}
    for index, track in enumerate(score.tracks):
        # an empty name is written when another name follows, which would else be taken for it
        if track.name or index in named:
            blobs.meta(index + 1, 0, TRACK_NAME, track.name.encode(errors="replace"))
    for tick, kind, text, track in zip(texts.tick.tolist(), texts.kind, texts.text, texts.track.tolist(), strict=True):
        blobs.meta(track - WHOLE_PIECE, tick, TEXT_KINDS.index(kind) + 1, text.encode(errors="replace"))
    times, keys, tempos = score.time_signatures, score.key_signatures, score.tempos
    for tick, upper, lower in zip(*(c.tolist() for c in times.columns().values()), strict=True):
        # a metronome click a beat, in MIDI clocks of 24 a quarter; 8 thirty-seconds a quarter
        click = max(96 // lower, 1)
        blobs.meta(0, tick, TIME_SIGNATURE, bytes([upper, lower.bit_length() - 1, click, 8]))
    for tick, sharps, is_minor in zip(*(c.tolist() for c in keys.columns().values()), strict=True):
        blobs.meta(0, tick, KEY_SIGNATURE, bytes([sharps & 0xFF, is_minor]))
    for tick, us_per_quarter in zip(tempos.tick.tolist(), tempos.us_per_quarter.tolist(), strict=True):
        blobs.meta(0, tick, TEMPO, us_per_quarter.to_bytes(3, "big"))
    for index, (track, tick) in enumerate(zip(score.tracks, _program_ticks(score), strict=True)):
        blobs.add(index + 1, tick, _PROGRAM, bytes([0xC0 | channels[index], track.program]))
    # rests that are too long for one delta time are broken by events that say nothing
    for tick in range(_LARGEST_DELTA, last_tick, _LARGEST_DELTA):
        for chunk in range(len(score.tracks) + 1):
            blobs.meta(chunk, tick, 0x7F, b"")
    return blobs


def _program_ticks(score: Score) -> list[int]:
    """Return when each track chooses its program: after the bank selections before its first note."""
    ticks, notes, controls = np.zeros(len(score.tracks), np.int64), score.notes, score.controls
    if not len(controls):
        return ticks.tolist()
    banks = ((controls.number == _BANK_SELECT[0]) | (controls.number == _BANK_SELECT[1])).nonzero()[0]
    if len(banks):
        first_note = np.full(len(ticks), MAX_TICK)
        # rows come by time, and what is written last stays: the first of the notes, the last of the banks
        first_note[notes.track[::-1]] = notes.onset_tick[::-1]
        banks = banks[controls.tick[banks] <= first_note[controls.track[banks]]]
        ticks[controls.track[banks]] = controls.tick[banks]
    return ticks.tolist()


def _last_tick(score: Score, end_tick: np.ndarray) -> int:
    """Return when the last event of a piece happens."""
    names = ("tempos", "time_signatures", "key_signatures", "controls", "pitch_bends", "texts")
    columns = [getattr(score, name).tick for name in names]
    return max([int(end_tick.max(initial=0)), *(int(column[-1]) for column in columns if len(column))])


class _Events(NamedTuple):
    """All events in the order of the file.

    Attributes:
        place: chunk and tick, ``chunk << tick_bits | tick``, int64.
        data: the three bytes of each, but for blobs; uint8.
        at: where blobs are.
        blob: which blob each of those is.
    """

    place: np.ndarray
    data: list[np.ndarray]
    at: np.ndarray
    blob: np.ndarray
    tick_bits: int


def _events(score: Score, channels: np.ndarray, end_tick: np.ndarray, blobs: _Blobs) -> _Events:
    """Sort the events of a piece, of which each is one whole number: chunk | tick | rank."""
    notes, chunk_at = score.notes, blobs.chunk_at
    if len(score.tracks) == 1:
        chunk, channel = 1 << chunk_at, np.full(len(notes), channels[0])
    else:
        chunk, channel = notes.track.astype(np.int64) + 1 << chunk_at, channels.take(notes.track)
    key_of_end = end_tick << _TICK_AT
    key_of_end += chunk
    key_of_end += _NOTE_END
    if len(notes) and not np.minimum.reduce(notes.duration_tick):
        key_of_end += (_EMPTY_NOTE_END - _NOTE_END) * (notes.duration_tick == 0)
    key_of_begin = notes.onset_tick.astype(np.int64)
    key_of_begin <<= _TICK_AT
    key_of_begin += chunk
    key_of_begin += _NOTE_BEGIN
    pitch, velocity = notes.pitch.astype(np.uint8), notes.velocity.astype(np.uint8)
    no_data = np.zeros(len(blobs.key), np.uint8)
    keys, data = [np.array(blobs.key, np.int64)], [(no_data, no_data, no_data)]
    for status, table in ((0xB0, score.controls), (0xE0, score.pitch_bends)):
        if len(table):
            keys.append((table.track.astype(np.int64) + 1 << chunk_at) + (table.tick.astype(np.int64) << _TICK_AT))
            keys[-1] += _CONTROL
            data.append((channels.take(table.track) | np.uint8(status), *_data(table)))
    release = np.full(len(notes), _RELEASE_VELOCITY, np.uint8)
    keys += [key_of_end, key_of_begin]
    data += [(channel | np.uint8(0x80), pitch, release), (channel | np.uint8(0x90), pitch, velocity)]
    key = np.concatenate(keys)
    order = order_of(key, chunk_at + (len(score.tracks) + 1).bit_length() + 1)
    place = key.take(order)
    place >>= _TICK_AT
    at = (order < len(blobs.key)).nonzero()[0]
    columns = [np.concatenate(column).take(order) for column in zip(*data, strict=True)]
    return _Events(place, columns, at, order[at], chunk_at - _TICK_AT)


def _data(table: Controls | PitchBends) -> tuple[np.ndarray, np.ndarray]:
    """Return the two data bytes of each row, uint8."""
    if isinstance(table, Controls):
        return table.number.astype(np.uint8), table.value.astype(np.uint8)
    bend = table.value + np.int32(8192)
    return (bend & 0x7F).astype(np.uint8), (bend >> 7).astype(np.uint8)


def _chunks(events: _Events, blobs: list[bytes], num_chunks: int) -> list[bytes]:
    """Return the content of each track, its end included."""
    place, data, at, blob, tick_bits = events
    first = place.searchsorted(np.arange(num_chunks + 1) << tick_bits)
    delta = np.empty_like(place)
    np.subtract(place[1:], place[:-1], out=delta[1:])
    begins = first[:-1][first[1:] > first[:-1]]
    delta[begins] = place[begins] & (1 << tick_bits) - 1
    # nearly all have a delta time of one byte or two, and three bytes after it
    size = (delta > 0x7F) + 4
    longer = (delta > 0x3FFF).nonzero()[0]
    size[longer] += 1 + (delta[longer] > 0x1FFFFF)
    contents = [blobs[number] for number in blob.tolist()]
    size[at] += np.array([len(content) - 3 for content in contents], np.int64)
    end = size.cumsum()
    cuts = [int(end[index - 1]) if index else 0 for index in first.tolist()]

    # an event's bytes end at ``end``, which counts from ``_LEAD``; whatever is written too much is either written
    # over by what comes further down, or goes to the spare bytes behind everything
    out = bytearray(_LEAD + cuts[-1] + _LEAD)
    column = np.frombuffer(out, np.uint8)
    spare = end.copy()
    spare[at] = _LEAD + cuts[-1]
    low = delta.astype(np.uint16)
    column[spare] = (low >> 7).astype(np.uint8) | 0x80
    column[1:][spare] = low.astype(np.uint8) & 0x7F
    for place, byte in enumerate(data, 2):
        column[place:][spare] = byte
    power = 2
    while len(longer):
        column[end[longer] + 1 - power] = delta[longer] >> 7 * power & 0x7F | 0x80
        power += 1
        longer = longer[delta[longer] >> 7 * power > 0]
    for content, stop, wait in zip(contents, end[at].tolist(), delta[at].tolist(), strict=True):
        whole = _number(wait) + content
        out[_LEAD + stop - len(whole) : _LEAD + stop] = whole
    del column
    return [bytes(out[_LEAD + begin : _LEAD + stop]) + _END_OF_TRACK for begin, stop in pairwise(cuts)]
