"""A Score to the bytes of a MIDI file, without a loop over notes.

Format 1: a first track with tempos, signatures and the texts of the whole piece, then one track per track
of the Score, each with its status bytes written out. At one tick come texts, then controls and bends, the
program, note ends, note beginnings, and last the ends of notes of no length. Drums go to channel 10.
Other tracks get a channel each while there are 15 of them or fewer, and else one channel per program.

Two notes of one pitch and track of which the one that begins later ends earlier swap their ends, because
MIDI says only which pitch ends.
"""

from typing import NamedTuple

import numpy as np

from etude.errors import MidiError
from etude.music.check import check_score
from etude.music.midi_in import DRUM_CHANNEL, KEY_SIGNATURE, TEMPO, TIME_SIGNATURE, TRACK_NAME
from etude.music.score import TEXT_KINDS, WHOLE_PIECE, Controls, Notes, PitchBends, Score

_LARGEST_DELTA = 0x0FFFFFFF
_BANK_SELECT = (0, 32)
_END_OF_TRACK = b"\x00\xff\x2f\x00"
# within one tick; a program comes after the bank that it is chosen from
_TEXT, _CONTROL, _PROGRAM, _NOTE_END, _NOTE_BEGIN, _EMPTY_NOTE_END = range(6)


class _Rows(NamedTuple):
    """Events of three bytes; where ``data1`` is -1 - i they are the bytes of the i-th blob instead."""

    chunk: np.ndarray
    tick: np.ndarray
    rank: np.ndarray
    status: np.ndarray
    data1: np.ndarray
    data2: np.ndarray


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
    channels = channels_of(score)
    blobs = _blobs(score, channels)
    parts = [blobs.rows(), *_plain_rows(score, channels)]
    rows = _Rows(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    chunks = _chunks(rows, blobs.content, len(score.tracks) + 1)
    header = b"MThd" + b"".join(
        number.to_bytes(size, "big") for number, size in ((6, 4), (1, 2), (len(chunks), 2), (score.ppq, 2))
    )
    return header + b"".join(b"MTrk" + len(chunk).to_bytes(4, "big") + chunk for chunk in chunks)


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

    def __init__(self) -> None:
        self.content: list[bytes] = []
        self.place: list[tuple[int, int, int]] = []

    def add(self, chunk: int, tick: int, rank: int, content: bytes) -> None:
        self.content.append(content)
        self.place.append((chunk, tick, rank))

    def meta(self, chunk: int, tick: int, kind: int, payload: bytes) -> None:
        length = len(payload)
        size = bytes([length & 0x7F])
        while length := length >> 7:
            size = bytes([length & 0x7F | 0x80]) + size
        self.add(chunk, tick, _TEXT, bytes([0xFF, kind]) + size + payload)

    def rows(self) -> _Rows:
        chunk, tick, rank = np.array(self.place, np.int64).reshape(-1, 3).T
        return _Rows(chunk, tick, rank, np.zeros_like(tick), -1 - np.arange(len(tick)), np.zeros_like(tick))


def _blobs(score: Score, channels: np.ndarray) -> _Blobs:
    """Collect names, texts, tempos, signatures and programs."""
    blobs, texts = _Blobs(), score.texts
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
        blobs.add(index + 1, tick, _PROGRAM, bytes([0xC0 | int(channels[index]), track.program]))
    _add_fillers(score, blobs)
    return blobs


def _program_ticks(score: Score) -> list[int]:
    """Return when each track chooses its program: after the bank selections before its first note."""
    first_note = np.full(len(score.tracks), np.iinfo(np.int32).max)
    np.minimum.at(first_note, score.notes.track, score.notes.onset_tick)
    controls = score.controls
    counts = np.isin(controls.number, _BANK_SELECT) & (controls.tick <= first_note[controls.track])
    ticks = np.zeros(len(score.tracks), np.int64)
    np.maximum.at(ticks, controls.track[counts], controls.tick[counts])
    return ticks.tolist()


def _add_fillers(score: Score, blobs: _Blobs) -> None:
    """Break rests that are too long for one delta time by events that say nothing."""
    notes = score.notes
    ends = notes.onset_tick.astype(np.int64) + notes.duration_tick
    names = ("tempos", "time_signatures", "key_signatures", "controls", "pitch_bends", "texts")
    last = max([int(ends.max(initial=0)), *(int(getattr(score, name).tick.max(initial=0)) for name in names)])
    for tick in range(_LARGEST_DELTA, last, _LARGEST_DELTA):
        for chunk in range(len(score.tracks) + 1):
            blobs.meta(chunk, tick, 0x7F, b"")


def _rows(
    status: int, channels: np.ndarray, table: Notes | Controls | PitchBends, *, data: tuple, at: tuple | None = None
) -> _Rows:
    """Return the rows of one kind of event.

    Args:
        status: its status byte for channel 0.
        channels: the channel of each track.
        table: has a row an event, and its track.
        data: the two data bytes, each a column or one number.
        at: tick and rank; by default the table's ticks, as controls.
    """
    tick, rank = at or (table.tick, _CONTROL)
    columns = (table.track + 1, tick, rank, status | channels[table.track], *data)
    return _Rows(*(np.broadcast_to(np.asarray(column, np.int64), len(table)) for column in columns))


def _plain_rows(score: Score, channels: np.ndarray) -> list[_Rows]:
    """Return controls, bends and both ends of notes."""
    notes, controls, bends = score.notes, score.controls, score.pitch_bends
    bend = bends.value + 8192
    end_tick = notes.onset_tick.astype(np.int64) + notes.duration_tick
    end_rank = np.where(notes.duration_tick == 0, _EMPTY_NOTE_END, _NOTE_END)
    return [
        _rows(0xB0, channels, controls, data=(controls.number, controls.value)),
        _rows(0xE0, channels, bends, data=(bend & 0x7F, bend >> 7)),
        _rows(0x80, channels, notes, data=(notes.pitch, 64), at=(end_tick, end_rank)),
        _rows(0x90, channels, notes, data=(notes.pitch, notes.velocity), at=(notes.onset_tick, _NOTE_BEGIN)),
    ]


def _chunks(rows: _Rows, blobs: list[bytes], num_chunks: int) -> list[bytes]:
    """Return the content of each track, its end included."""
    order = np.lexsort((rows.rank, rows.tick, rows.chunk))
    chunk, tick, _, status, data1, data2 = (column[order] for column in rows)
    delta = np.diff(tick, prepend=0)
    is_first = np.diff(chunk, prepend=-1) != 0
    delta[is_first] = tick[is_first]
    is_blob = data1 < 0
    size = np.full(len(order), 3)
    size[is_blob] = [len(blobs[-1 - index]) for index in data1[is_blob]]
    delta_size = 1 + (delta >= 1 << 7) + (delta >= 1 << 14) + (delta >= 1 << 21)
    end = np.cumsum(size + delta_size)
    out = np.empty(int(end[-1]) if len(end) else 0, np.uint8)
    body = end - size
    for place in range(4):
        at = np.flatnonzero(delta_size > place)
        out[body[at] - 1 - place] = delta[at] >> 7 * place & 0x7F | (0x80 if place else 0)
    plain = body[~is_blob]
    for place, column in enumerate((status, data1, data2)):
        out[plain + place] = column[~is_blob]
    for at, index in zip(body[is_blob].tolist(), data1[is_blob].tolist(), strict=True):
        content = blobs[-1 - index]
        out[at : at + len(content)] = np.frombuffer(content, np.uint8)
    cuts = np.concatenate([[0], end])[np.searchsorted(chunk, np.arange(num_chunks + 1))].tolist()
    content = out.tobytes()
    return [content[a:b] + _END_OF_TRACK for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
