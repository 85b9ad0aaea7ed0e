"""Events of a MIDI file to a Score: its notes, tracks, tempos, signatures, controls, bends and texts.

A malformed meta event (a tempo of 0, a metre of 0/4) is passed over.
"""

from dataclasses import replace

import numpy as np

from etude.errors import MidiError
from etude.music.columns import MAX_TICK
from etude.music.midi_parts import Part, pair_notes, parts_of
from etude.music.midi_text import decode_text
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
from etude.music.smf import Meta
from etude.music.smf_events import Events

DRUM_CHANNEL = 9
TRACK_NAME, TEMPO, TIME_SIGNATURE, KEY_SIGNATURE = 0x03, 0x51, 0x58, 0x59
LARGEST_DENOMINATOR_POWER = 7
_FIELD_OF = {Tempos: "tempos", TimeSignatures: "time_signatures", KeySignatures: "key_signatures"}


def score_of(events: Events) -> Score:
    """Build the Score that a file's events describe.

    Raises:
        MidiError: the time division is not known, or the piece is too long.
    """
    if events.format == 2:
        events = _one_after_another(events)
    begins, ends, others, voice = pair_notes(events)
    parts, note_track, track = parts_of(events, begins, others, voice)
    if len(track) and track.min() < 0:
        others, track = others[track >= 0], track[track >= 0]
    tick, number, value = (column.take(others) for column in (events.tick, events.data1, events.data2))
    # controls come before bends
    num_controls = int(np.count_nonzero(events.status.take(others) < 0xE0))
    controls, bends = slice(num_controls), slice(num_controls, None)
    bend = (value[bends].astype(np.int32) << 7 | number[bends]) - 8192
    onset = events.tick.take(begins)
    return assemble(
        events.division,
        parts,
        events.metas,
        notes_in_order(
            onset,
            events.tick.take(ends) - onset,
            events.data1.take(begins).astype(np.int32),
            events.data2.take(begins).astype(np.int32),
            note_track,
        ),
        Controls(
            tick[controls], track[controls], number[controls].astype(np.int32), value[controls].astype(np.int32)
        ).in_order(),
        PitchBends(tick[bends], track[bends], bend).in_order(),
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
    tracks = tuple(Track(part.program, part.channel == DRUM_CHANNEL, names.get(part.source, "")) for part in parts)
    return Score(ppq, notes, tracks, **tables)


def notes_in_order(
    onset_tick: np.ndarray,
    duration_tick: np.ndarray,
    pitch: np.ndarray,
    velocity: np.ndarray,
    track: np.ndarray,
    *,
    is_by_time: bool = False,
) -> Notes:
    """Return notes, given as int32 columns, in their total order; it is faster if told that they come by time."""
    # one key is faster than five columns; only where it is tied do durations and velocities decide
    key = onset_tick.astype(np.int64)
    num_tracks = int(track.max(initial=0)) + 1
    if num_tracks > 1:
        key = key * num_tracks + track
    key = key * 128 + pitch
    order = np.argsort(key, kind="stable" if is_by_time else "quicksort")
    key = key.take(order)
    tied = np.flatnonzero(key[1:] == key[:-1])
    if len(tied):
        rows = np.union1d(tied, tied + 1)
        among = order[rows]
        order[rows] = among[np.lexsort((velocity[among], duration_tick[among], key[rows]))]
    columns = [column.take(order) for column in (onset_tick, duration_tick, pitch, velocity)]
    return Notes(*columns, track.take(order) if num_tracks > 1 else track)


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


def _read_metas(metas: list[Meta], parts: list[Part]) -> tuple[dict[int, str], dict[str, Columns]]:
    """Return the names of file tracks that have parts, and the tables of tempos, signatures and texts."""
    first_track: dict[int, int] = {}
    for index, part in enumerate(parts):
        first_track.setdefault(part.source, index)
    names: dict[int, str] = {}
    rows: dict[type[Columns], list[tuple]] = {Tempos: [], TimeSignatures: [], KeySignatures: [], Texts: []}
    if metas and max(meta.tick for meta in metas) > MAX_TICK:
        raise MidiError(f"the piece is longer than {MAX_TICK} ticks")
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
