"""Events of a MIDI file to a Score: notes from their two ends, tracks from channels and programs.

Notes of one pitch, channel and file track that overlap end in the order in which they began. A note end
without a note is passed over, and so is a note without an end: how long it was meant to sound is not
known. A malformed meta event (a tempo of 0, a metre of 0/4) is passed over.

A track is one (file track, channel, program) with notes. A control or pitch bend goes to the track of the
program in force; if that has no notes, to the track of the channel's next note, else of its last. If its
channel has no notes in its file track, it goes to the first track that has notes on the channel; if there
is none it cannot be heard and is left out, except that a file track all on one channel becomes a track
without notes.
"""

from collections import Counter
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
from etude.music.smf import MAX_TICK, Events, Meta, ProgramChange

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
    begins, ends, others = _sort_out(events, voices)
    parts, note_track, track = _assign_tracks(events, voices, begins, others)
    if len(track) and track.min() < 0:
        others, track = others[track >= 0], track[track >= 0]
    num_controls = int(np.count_nonzero(events.status.take(others) < 0xE0))
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
        _controls(events, others[:num_controls], track[:num_controls]),
        _pitch_bends(events, others[num_controls:], track[num_controls:]),
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
    key = key.take(order)
    notes = Notes(*(column.take(order) for column in (onset_tick, duration_tick, pitch, velocity, track)))
    tied = np.flatnonzero(key[1:] == key[:-1])
    if not len(tied):
        return notes
    later = [column.take(tied + 1) - column.take(tied) for column in (notes.duration_tick, notes.velocity)]
    return notes.in_order() if ((later[0] < 0) | (later[0] == 0) & (later[1] < 0)).any() else notes


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


def _sort_out(events: Events, voices: np.ndarray | int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows at which notes begin and end, by voice and pitch, and of controls, then bends, in file order."""
    # one sort brings the events of each pitch together, and the others behind them
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
    num_notes = int(np.count_nonzero(events.status < 0xA0))
    num_others = int(np.count_nonzero(events.status >= 0xB0))
    rows, others = order[:num_notes], order[num_notes : num_notes + num_others]
    begins, ends = rows[0::2], rows[1::2]
    is_begin = ((events.status >= 0x90) & (events.data2 > 0)).take(rows)
    key = key.take(rows)
    alternate = len(begins) == len(ends) and is_begin[0::2].all() and not is_begin[1::2].any()
    if not (alternate and np.array_equal(key[0::2], key[1::2])):
        begins, ends = _pair_in_turn(rows, is_begin, key)
    return begins, ends, others


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
    """Return the parts, and to which of them each note and each other event belongs, or -1 for none."""
    if isinstance(voices, int):
        voices = np.full(len(events.tick), voices, np.int32)
    # notes come ordered by voice
    note_voice, other_voice = voices.take(begins), voices.take(others)
    starts = np.flatnonzero(np.diff(note_voice, prepend=-1))
    first_note = np.minimum.reduceat(begins, starts) if len(starts) else begins
    changes: dict[int, list[ProgramChange]] = {}
    for change in events.programs:
        changes.setdefault(change.source * 16 + change.channel, []).append(change)
    home: dict[int, int] = {}
    split = []
    for voice, first in zip(note_voice[starts].tolist(), first_note.tolist(), strict=True):
        own = changes.get(voice, [])
        program = next((change.program for change in reversed(own) if change.index <= first), 0)
        home[voice] = voice * 128 + program
        if any(change.index > first and change.program != program for change in own):
            split.append(voice)
    silent = (changes.keys() | np.flatnonzero(np.bincount(other_voice)).tolist()) - home.keys()
    home |= _homes_of_silent(sorted(silent), home, changes)
    table = np.full(max(home, default=0) + 1, -1, np.int64)
    table[list(home)] = list(home.values())
    note_key, other_key = table.take(note_voice), table.take(other_voice)
    for voice in split:
        _split_by_program(voice, changes[voice], (begins, note_voice, note_key), (others, other_voice, other_key))
    keys = np.unique(note_key) if split else note_key[:0]
    keys = np.union1d(keys, [key for voice, key in home.items() if key >= 0 and voice not in split])
    parts = [Part(key // 2048, key // 128 % 16, key % 128) for key in keys.astype(np.int64).tolist()]
    note_track, other_track = (keys.searchsorted(key).astype(np.int32) for key in (note_key, other_key))
    other_track[other_key < 0] = -1
    return parts, note_track, other_track


def _homes_of_silent(
    silent: list[int], home: dict[int, int], changes: dict[int, list[ProgramChange]]
) -> dict[int, int]:
    """Return the keys of voices without notes, -1 for those that cannot be heard."""
    of_channel: dict[int, int] = {}
    for voice, key in home.items():
        of_channel.setdefault(voice % 16, key)
    crowded = Counter(voice // 16 for voice in [*home, *silent])
    homes = {}
    for voice in silent:
        if voice % 16 in of_channel:
            homes[voice] = of_channel[voice % 16]
        elif crowded[voice // 16] == 1:
            homes[voice] = voice * 128 + (changes[voice][-1].program if voice in changes else 0)
        else:
            homes[voice] = -1
    return homes


def _split_by_program(
    voice: int,
    changes: list[ProgramChange],
    notes: tuple[np.ndarray, np.ndarray, np.ndarray],
    others: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Change in place the keys of one voice's notes and other events to those of the programs in force.

    Both are given as rows, voices, keys.
    """
    index = [change.index for change in changes]
    programs = np.array([0, *(change.program for change in changes)])
    keys = []
    for rows, of_row, key in (notes, others):
        own = np.flatnonzero(of_row == voice)
        key[own] = voice * 128 + programs[np.searchsorted(index, rows[own], side="right")]
        keys.append((own, rows[own], key[own]))
    (_, begins, note_key), (own, rows, other_key) = keys
    order = np.argsort(begins)
    lost = ~np.isin(other_key, note_key)
    next_note = np.minimum(np.searchsorted(begins[order], rows[lost]), len(order) - 1)
    others[2][own[lost]] = note_key[order[next_note]]


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
