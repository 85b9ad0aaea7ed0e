"""Events of a MIDI file to a Score: notes from their two ends, tracks from channels and programs.

Notes of one pitch, channel and file track that overlap end in the order in which they began. A note end
without a note is passed over, and so is a note without an end: how long it was meant to sound is not
known. A malformed meta event (a tempo of 0, a metre of 0/4) is passed over.

A track is one (file track, channel, program) with notes. A control or pitch bend goes to the track of the
program in force; if that has no notes, to the track of the channel's next note, else of its last. A
channel without notes becomes a track if it has controls, bends or a program.
"""

from dataclasses import replace

import numpy as np

from etude.errors import MidiError
from etude.music.score import (
    TEXT_KINDS,
    WHOLE_PIECE,
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


def score_of(events: Events) -> Score:
    """Build the Score that a file's events describe.

    Raises:
        MidiError: the time division is not known, or the piece is too long.
    """
    ppq, constant_tempo = _division(events.division)
    if events.format == 2:
        events = _one_after_another(events)
    voices = _voices(events)
    begins, ends, controls, bends = _sort_out(events, voices)
    others = np.concatenate([controls, bends]) if len(bends) else controls
    tracks, note_track, other_track = _assign_tracks(events, voices, begins, others)
    names, texts = _texts(events, tracks)
    tables = _metas(events)
    if constant_tempo is not None:
        tables["tempos"] = Tempos(tick=[0], us_per_quarter=[constant_tempo])
    if len(controls):
        tables["controls"] = _controls(events, controls, other_track[: len(controls)])
    if len(bends):
        tables["pitch_bends"] = _pitch_bends(events, bends, other_track[len(controls) :])
    if len(texts):
        tables["texts"] = texts
    return Score(
        ppq,
        _notes(events, begins, ends, note_track, len(tracks)),
        tuple(Track(program, channel == DRUM_CHANNEL, names.get(source, "")) for source, channel, program in tracks),
        **tables,
    )


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
    # one sort brings the events of each pitch together, and controls and bends to the end in file order
    if isinstance(voices, int):
        key, above = events.data1.copy(), 128
    else:
        # numpy sorts 16-bit numbers by radix, ten times faster than longer ones
        above = len(events.end_tick) * 2048
        key = (voices * 128 + events.data1).astype(np.uint16 if above + 2 < 1 << 16 else np.int64)
    kind = events.status >> 4
    is_other = kind >= 0xA
    np.copyto(key, np.array([above + 2, above, 0, 0, above + 1], key.dtype).take(kind - 0xA, mode="clip"), where=is_other)
    order = np.argsort(key, kind="stable")
    num_others = np.bincount(kind, minlength=16)
    num_notes = int(num_others[8] + num_others[9])
    num_controls = int(num_others[0xB])
    rows, controls = order[:num_notes], order[num_notes : num_notes + num_controls]
    bends = order[num_notes + num_controls :][: int(num_others[0xE])]
    begins, ends = rows[0::2], rows[1::2]
    is_begin = ((kind == 9) & (events.data2 > 0)).take(rows)
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


def _notes(events: Events, begins: np.ndarray, ends: np.ndarray, track: np.ndarray, num_tracks: int) -> Notes:
    """Return the notes in their total order."""
    onset, pitch = events.tick.take(begins), events.data1.take(begins)
    key = onset.astype(np.int64) * max(num_tracks, 1)
    if num_tracks > 1:
        key += track
    key = key * 128 + pitch
    order = np.argsort(key)
    begins, onset, key = begins.take(order), onset.take(order), key.take(order)
    notes = Notes(
        onset_tick=onset,
        duration_tick=events.tick.take(ends.take(order)) - onset,
        pitch=pitch.take(order).astype(np.int32),
        velocity=events.data2.take(begins).astype(np.int32),
        track=track.take(order) if num_tracks > 1 else track,
    )
    # of notes that begin at once on one pitch, durations and velocities decide
    return notes.in_order() if (key[1:] == key[:-1]).any() else notes


def _assign_tracks(
    events: Events, voices: np.ndarray | int, begins: np.ndarray, others: np.ndarray
) -> tuple[list[tuple[int, int, int]], np.ndarray, np.ndarray]:
    """Return the (file track, channel, program) of each track, and the track of notes and of other events."""
    if isinstance(voices, int):
        only = _only_program(events, voices, begins)
        if only is not None and len(begins):
            tracks = [(voices // 16, voices % 16, only)]
            return tracks, np.zeros(len(begins), np.int32), np.zeros(len(others), np.int32)
        voices = np.full(len(events.tick), voices, np.int32)
    note_voice, other_voice = voices.take(begins), voices.take(others)
    note_key = note_voice * 128 + _programs(events, begins, note_voice)
    keys = np.unique(note_key)
    other_key = other_voice * 128 + _programs(events, others, other_voice)
    _follow_notes(other_key, others, other_voice, begins, note_voice, note_key, keys)
    last_program = {source * 16 + channel: program for source, _, channel, program in events.programs}
    bare = (last_program.keys() | set(np.unique(other_voice).tolist())) - set((keys // 128).tolist())
    if bare:
        bare_keys = {voice: voice * 128 + last_program.get(voice, 0) for voice in bare}
        keys = np.union1d(keys, list(bare_keys.values()))
        for voice, key in bare_keys.items():
            other_key[other_voice == voice] = key
    tracks = [(key // 2048, key // 128 % 16, key % 128) for key in keys.tolist()]
    return tracks, *(keys.searchsorted(key).astype(np.int32) for key in (note_key, other_key))


def _only_program(events: Events, voice: int, begins: np.ndarray) -> int | None:
    """Return the program of all notes of a file with one voice, or None if there are several programs or voices."""
    changes = events.programs
    if not changes:
        return 0
    program = changes[0].program
    if any((change.source * 16 + change.channel, change.program) != (voice, program) for change in changes):
        return None
    return program if changes[0].index <= begins[:1].sum() else None


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
    other_channel: np.ndarray,
    begins: np.ndarray,
    note_channel: np.ndarray,
    note_key: np.ndarray,
    keys: np.ndarray,
) -> None:
    """Change in place the keys of events whose program has no notes to that of the notes around them."""
    if not len(keys):
        return
    place = np.minimum(keys.searchsorted(other_key), len(keys) - 1)
    lost = np.flatnonzero(keys[place] != other_key)
    if not len(lost):
        return
    span = int(max(begins[-1], others[-1])) + 1
    order = np.argsort(note_channel, kind="stable")
    at = note_channel[order].astype(np.int64) * span + begins[order]
    channel = other_channel[lost]
    place = at.searchsorted(channel.astype(np.int64) * span + others[lost])
    for candidate in (place - 1, place):
        # the later of the two wins: the next note, if the channel has one
        candidate = np.clip(candidate, 0, len(at) - 1)
        fits = note_channel[order[candidate]] == channel
        other_key[lost[fits]] = note_key[order[candidate[fits]]]


def _controls(events: Events, rows: np.ndarray, track: np.ndarray) -> Controls:
    number, value = (column.take(rows).astype(np.int32) for column in (events.data1, events.data2))
    return Controls(events.tick.take(rows), track, number, value).in_order()


def _pitch_bends(events: Events, rows: np.ndarray, track: np.ndarray) -> PitchBends:
    low, high = (column.take(rows).astype(np.int32) for column in (events.data1, events.data2))
    return PitchBends(events.tick.take(rows), track, (high << 7 | low) - 8192).in_order()


def _metas(events: Events) -> dict[str, Tempos | TimeSignatures | KeySignatures]:
    """Return tempos and signatures; malformed ones are passed over."""
    tempos, times, keys = [], [], []
    for _, tick, kind, payload in events.metas:
        if kind == TEMPO and len(payload) == 3 and any(payload):
            tempos.append((tick, int.from_bytes(payload, "big")))
        elif kind == TIME_SIGNATURE and len(payload) >= 2:
            if payload[0] and payload[1] <= LARGEST_DENOMINATOR_POWER:
                times.append((tick, payload[0], 1 << payload[1]))
        elif kind == KEY_SIGNATURE and len(payload) == 2:
            sharps = int.from_bytes(payload[:1], "big", signed=True)
            if -7 <= sharps <= 7 and payload[1] <= 1:
                keys.append((tick, sharps, payload[1]))
    tables = {"tempos": (Tempos, tempos), "time_signatures": (TimeSignatures, times)}
    tables["key_signatures"] = (KeySignatures, keys)
    return {
        name: cls(*np.array(rows, np.int32).T).in_order() for name, (cls, rows) in tables.items() if rows
    }


def _texts(events: Events, tracks: list[tuple[int, int, int]]) -> tuple[dict[int, str], Texts | tuple]:
    """Return the names of file tracks that have notes, and all other texts."""
    first_track: dict[int, int] = {}
    for index, (source, _, _) in enumerate(tracks):
        first_track.setdefault(source, index)
    names: dict[int, str] = {}
    rows = []
    for source, tick, kind, payload in events.metas:
        if not 1 <= kind <= len(TEXT_KINDS):
            continue
        if kind == TRACK_NAME and source in first_track and source not in names:
            names[source] = decode_text(payload)
        else:
            track = first_track.get(source, WHOLE_PIECE)
            rows.append((tick, TEXT_KINDS[kind - 1], decode_text(payload), track))
    return names, Texts(*zip(*rows, strict=True)).in_order() if rows else ()


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
