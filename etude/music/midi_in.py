"""Events of a MIDI file to a Score: notes from their two ends, tracks from channels and programs.

Notes of one pitch, channel and file track that overlap end in the order in which they began. A note end
without a note is passed over, and so is a note without an end: how long it was meant to sound is not
known. A malformed meta event (a tempo of 0, a metre of 0/4) is passed over.

A track is one (file track, channel, program) with notes. A control or pitch bend goes to the track of the
program in force; if that has no notes, to the track of the channel's next note, else of its last. A
channel without notes becomes a track if it has controls, bends or a program.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from etude.errors import MidiError
from etude.music.score import (
    TEXT_KINDS,
    WHOLE_PIECE,
    Columns,
    Controls,
    KeySignatures,
    Notes,
    PitchBends,
    Score,
    Tempos,
    Texts,
    TimeSignatures,
    Track,
)
from etude.music.smf import MAX_TICK, Events, Meta

DRUM_CHANNEL = 9
TRACK_NAME, TEMPO, TIME_SIGNATURE, KEY_SIGNATURE = 0x03, 0x51, 0x58, 0x59
LARGEST_DENOMINATOR_POWER = 7
_FIELD_OF = {
    Tempos: "tempos",
    TimeSignatures: "time_signatures",
    KeySignatures: "key_signatures",
}


class Part(NamedTuple):
    """What becomes one track: a channel and program of a track of the file."""

    source: int
    channel: int
    program: int


def score_of(events: Events) -> Score:
    """Build the Score that a file's events describe.

    Raises:
        MidiError: the time division is not known, or the piece is too long.
    """
    if events.format == 2:
        events = _one_after_another(events)
    voices = _voices(events)
    begins, ends, controls, bends = _sort_out(events, voices)
    others = np.concatenate([controls, bends]) if len(bends) else controls
    parts, note_track, other_track = _assign_tracks(events, voices, begins, others)
    onset = events.tick.take(begins)
    return assemble(
        events.division,
        parts,
        events.metas,
        notes_in_order(
            onset,
            events.tick.take(ends) - onset,
            *(column.take(begins).astype(np.int32) for column in (events.data1, events.data2)),
            note_track,
        ),
        _controls(events, controls, other_track[: len(controls)]),
        _pitch_bends(events, bends, other_track[len(controls) :]),
    )


def assemble(
    division: int, parts: list[Part], metas: list[Meta], notes: Notes, controls: Controls, pitch_bends: PitchBends
) -> Score:
    """Build the Score of tables that are there and of meta events.

    Raises:
        MidiError: the time division is not known.
    """
    ppq, constant_tempo = _division(division)
    names, tables = _read_metas(metas, parts)
    if constant_tempo is not None:
        tables["tempos"] = Tempos(tick=[0], us_per_quarter=[constant_tempo])
    if len(controls):
        tables["controls"] = controls
    if len(pitch_bends):
        tables["pitch_bends"] = pitch_bends
    tracks = tuple(
        Track(part.program, part.channel == DRUM_CHANNEL, names.get(part.source, "")) for part in parts
    )
    return Score(ppq, notes, tracks, **tables)


def notes_in_order(
    onset_tick: np.ndarray, duration_tick: np.ndarray, pitch: np.ndarray, velocity: np.ndarray, track: np.ndarray
) -> Notes:
    """Return notes, given as int32 columns in any order, in their total order."""
    # one key is faster than five columns; only where it is tied do durations and velocities decide
    key = onset_tick.astype(np.int64)
    num_tracks = int(track.max(initial=0)) + 1
    if num_tracks > 1:
        key = key * num_tracks + track
    key = key * 128 + pitch
    order = np.argsort(key)
    notes = Notes(*(column.take(order) for column in (onset_tick, duration_tick, pitch, velocity, track)))
    key = key.take(order)
    return notes.in_order() if (key[1:] == key[:-1]).any() else notes


def _division(division: int) -> tuple[int, int | None]:
    """Return ticks per quarter note, and the constant tempo, in us, that a SMPTE division stands for."""
    if division > 0:
        return division, None
    # as stored: frames a second, negative, in the upper byte, ticks a frame in the lower
    frames, ticks = -(division >> 8), division & 0xFF
    if frames not in (24, 25, 29, 30) or not ticks:
        raise MidiError(f"SMPTE division of {frames} frames a second and {ticks} ticks a frame is not known")
    if frames == 29:
        # 30000 / 1001 frames a second
        return 15 * ticks, 500_500
    if frames * ticks % 2:
        return frames * ticks, 1_000_000
    return frames * ticks // 2, 500_000


def _one_after_another(events: Events) -> Events:
    """Lay the independent patterns of a format 2 file end to end; each begins at 120 in 4/4 unless it says else."""
    ends = np.cumsum(events.end_tick)
    begins = (ends - events.end_tick).tolist()
    if len(ends) and ends[-1] > MAX_TICK:
        raise MidiError(f"the piece is longer than {MAX_TICK} ticks")
    metas = []
    for source, begin in enumerate(begins):
        own = [meta for meta in events.metas if meta.source == source]
        for kind, payload in ((TEMPO, b"\x07\xa1\x20"), (TIME_SIGNATURE, b"\x04\x02\x18\x08")):
            if source and not any(meta.type == kind and meta.tick == 0 for meta in own):
                metas.append(Meta(source, begin, kind, payload))
        metas += [meta._replace(tick=meta.tick + begin) for meta in own]
    return replace(events, tick=events.tick + np.array(begins, np.int32)[events.source], metas=metas)


def _voices(events: Events) -> np.ndarray | int:
    """Return 16 * file track + channel of each event, or one number if all are the same."""
    channel = events.status & 0x0F
    sources = events.source[[0, -1]] if len(channel) else np.zeros(2, np.int32)
    if sources[0] == sources[1] and channel.min(initial=15) == channel.max(initial=0):
        return int(sources[0]) * 16 + int(channel[0])
    return events.source * 16 + channel


def _sort_out(events: Events, voices: np.ndarray | int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows at which notes begin and end, both by voice, pitch and time, and of controls and bends."""
    # one sort brings the events of each pitch together, and controls and bends behind them in file order
    key, above = events.data1, 128
    if not isinstance(voices, int):
        above = len(events.end_tick) * 2048
        # numpy sorts 16-bit numbers by radix, ten times faster than longer ones
        key = (voices * 128 + key).astype(np.uint16 if above + 2 < 1 << 16 else np.int64)
    is_note, place = np.zeros(256, bool), np.zeros(256, key.dtype)
    is_note[:0xA0] = True
    place[0xA0:0xB0], place[0xB0:0xE0], place[0xE0:] = above + 2, above, above + 1
    key = key * is_note.take(events.status) + place.take(events.status)
    order = np.argsort(key, kind="stable")
    num_notes, num_controls, num_bends = (
        int(np.count_nonzero(chosen))
        for chosen in (events.status < 0xA0, events.status & 0xF0 == 0xB0, events.status >= 0xE0)
    )
    rows, controls = order[:num_notes], order[num_notes : num_notes + num_controls]
    bends = order[num_notes + num_controls :][:num_bends]
    begins, ends = rows[0::2], rows[1::2]
    is_begin = ((events.status >= 0x90) & (events.data2 > 0)).take(rows)
    key = key.take(rows)
    alternate = len(begins) == len(ends) and is_begin[0::2].all() and not is_begin[1::2].any()
    if not (alternate and np.array_equal(key[0::2], key[1::2])):
        begins, ends = _pair_in_turn(rows, is_begin, key)
    return begins, ends, controls, bends


def _pair_in_turn(rows: np.ndarray, is_begin: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair the k-th beginning of each key with its k-th end, passing over ends while nothing sounds."""
    group = np.zeros(len(key), np.int64)
    group[1:] = np.cumsum(key[1:] != key[:-1])
    step = np.where(is_begin, 1, -1)
    height = np.cumsum(step)
    first = np.searchsorted(group, group)
    # how many sound before an event: the height above the lowest point so far in the group
    before = height - step - (height - step)[first]
    drop = 2 * len(key) + 1
    lowest = np.minimum.accumulate(np.minimum(before, 0) - group * drop) + group * drop
    is_end = ~is_begin & (before > lowest)
    begin_rank = np.cumsum(is_begin) - is_begin
    end_rank = np.cumsum(is_end) - is_end
    num_ends = np.bincount(group[is_end], minlength=int(group[-1]) + 1 if len(group) else 0)
    has_end = is_begin & (begin_rank - begin_rank[first] < num_ends[group])
    return rows[has_end], rows[is_end]


def _assign_tracks(
    events: Events, voices: np.ndarray | int, begins: np.ndarray, others: np.ndarray
) -> tuple[list[Part], np.ndarray, np.ndarray]:
    """Return the parts, and to which of them each note and each other event belongs."""
    if isinstance(voices, int):
        program = _only_program(events, voices, begins)
        if program is not None:
            zeros = np.zeros(max(len(begins), len(others)), np.int32)
            return [Part(voices // 16, voices % 16, program)], zeros[: len(begins)], zeros[: len(others)]
        voices = np.full(len(events.tick), voices, np.int32)
    note_voice, other_voice = voices.take(begins), voices.take(others)
    note_key = note_voice * 128 + _programs(events, begins, note_voice)
    keys = np.unique(note_key)
    other_key = other_voice * 128 + _programs(events, others, other_voice)
    _follow_notes(other_key, others, other_voice, begins, note_voice, note_key, keys)
    last_program = {change.source * 16 + change.channel: change.program for change in events.programs}
    bare = (last_program.keys() | set(np.unique(other_voice).tolist())) - set((keys // 128).tolist())
    for voice in sorted(bare):
        other_key[other_voice == voice] = voice * 128 + last_program.get(voice, 0)
    keys = np.union1d(keys, [voice * 128 + last_program.get(voice, 0) for voice in bare]).astype(np.int64)
    parts = [Part(key // 2048, key // 128 % 16, key % 128) for key in keys.tolist()]
    return parts, *(keys.searchsorted(key).astype(np.int32) for key in (note_key, other_key))


def _only_program(events: Events, voice: int, begins: np.ndarray) -> int | None:
    """Return the program of all notes of a file with one voice, or None if it takes a closer look."""
    if not len(begins):
        return None
    changes = events.programs
    if not changes:
        return 0
    program = changes[0].program
    if any((change.source * 16 + change.channel, change.program) != (voice, program) for change in changes):
        return None
    return program if changes[0].index <= begins.min() else None


def _programs(events: Events, rows: np.ndarray, voice: np.ndarray) -> np.ndarray | int:
    """Return the program in force at some events, of which the voices are given."""
    if not events.programs:
        return 0
    span = len(events.tick) + 1
    at = [(source * 16 + channel) * span + index for source, index, channel, _ in events.programs]
    order = np.argsort(at, kind="stable")
    at = np.array(at)[order]
    program = np.array([change.program for change in events.programs], np.int32)[order]
    place = at.searchsorted(voice.astype(np.int64) * span + rows, side="right") - 1
    return np.where((place >= 0) & (at[place] // span == voice), program[place], 0).astype(np.int32)


def _follow_notes(
    other_key: np.ndarray,
    others: np.ndarray,
    other_voice: np.ndarray,
    begins: np.ndarray,
    note_voice: np.ndarray,
    note_key: np.ndarray,
    keys: np.ndarray,
) -> None:
    """Change in place the keys of events whose program has no notes to that of the notes around them."""
    lost = np.flatnonzero(~np.isin(other_key, keys))
    if not len(lost) or not len(begins):
        return
    span = int(max(begins.max(), others.max())) + 1
    at = note_voice.astype(np.int64) * span + begins
    order = np.argsort(at)
    voice = other_voice[lost]
    next_note = at[order].searchsorted(voice.astype(np.int64) * span + others[lost])
    # the later of the two wins: the next note, if the voice has one
    for place in (next_note - 1, next_note):
        note = order[np.clip(place, 0, len(order) - 1)]
        fits = note_voice[note] == voice
        other_key[lost[fits]] = note_key[note[fits]]


def _controls(events: Events, rows: np.ndarray, track: np.ndarray) -> Controls:
    number, value = (column.take(rows).astype(np.int32) for column in (events.data1, events.data2))
    return Controls(events.tick.take(rows), track, number, value).in_order()


def _pitch_bends(events: Events, rows: np.ndarray, track: np.ndarray) -> PitchBends:
    low, high = (column.take(rows).astype(np.int32) for column in (events.data1, events.data2))
    return PitchBends(events.tick.take(rows), track, (high << 7 | low) - 8192).in_order()


def _read_metas(metas: list[Meta], parts: list[Part]) -> tuple[dict[int, str], dict[str, Columns]]:
    """Return the names of file tracks that have parts, and tempos, signatures and texts; malformed ones are passed over."""
    first_track: dict[int, int] = {}
    for index, part in enumerate(parts):
        first_track.setdefault(part.source, index)
    names: dict[int, str] = {}
    rows: dict[type[Columns], list[tuple]] = {Tempos: [], TimeSignatures: [], KeySignatures: [], Texts: []}
    for source, tick, kind, payload in metas:
        if kind == TEMPO and len(payload) == 3 and any(payload):
            rows[Tempos].append((tick, int.from_bytes(payload, "big")))
        elif kind == TIME_SIGNATURE and len(payload) >= 2:
            if payload[0] and payload[1] <= LARGEST_DENOMINATOR_POWER:
                rows[TimeSignatures].append((tick, payload[0], 1 << payload[1]))
        elif kind == KEY_SIGNATURE and len(payload) == 2:
            sharps = int.from_bytes(payload[:1], "big", signed=True)
            if -7 <= sharps <= 7 and payload[1] <= 1:
                rows[KeySignatures].append((tick, sharps, payload[1]))
        elif kind == TRACK_NAME and source in first_track and source not in names:
            names[source] = decode_text(payload)
        elif 1 <= kind <= len(TEXT_KINDS):
            track = first_track.get(source, WHOLE_PIECE)
            rows[Texts].append((tick, TEXT_KINDS[kind - 1], decode_text(payload), track))
    tables = {
        _FIELD_OF[table]: table(*np.array(of_table, np.int32).T).in_order()
        for table, of_table in rows.items()
        if of_table and table is not Texts
    }
    if rows[Texts]:
        tables["texts"] = Texts(*zip(*rows[Texts], strict=True)).in_order()
    return names, tables


def decode_text(payload: bytes) -> str:
    """Return the text that bytes most likely hold: UTF-8, UTF-16 with a mark, Shift JIS, else Latin-1.

    Example:
        >>> decode_text("Für Elise".encode("latin-1")), decode_text("さくら".encode("shift-jis"))
        ('Für Elise', 'さくら')
    """
    try:
        return payload.decode()
    except UnicodeDecodeError:
        pass
    encodings = ["utf-16"] if payload[:2] in (b"\xff\xfe", b"\xfe\xff") else ["cp932"]
    for encoding in encodings:
        try:
            text = payload.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-16" or _looks_japanese(text):
            return text
    return payload.decode("latin-1")


def _looks_japanese(text: str) -> bool:
    """Tell whether what is not ASCII is kana or ideographs of full width."""
    foreign = [letter for letter in text if letter > "\x7f"]
    full = sum("\u3000" <= letter <= "\u9fff" or "\uff01" <= letter <= "\uff5e" for letter in foreign)
    kana = sum("\u3040" <= letter <= "\u30ff" for letter in foreign)
    return full == len(foreign) and (kana > 0 or len(foreign) > 1)
