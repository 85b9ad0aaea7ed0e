"""Events of a MIDI file to a Score: its notes, tracks, tempos, signatures, controls, bends and texts.

A malformed meta event (a tempo of 0, a metre of 0/4) is passed over.
"""

from operator import itemgetter

import numpy as np

from etude.errors import MidiError
from etude.music.columns import MAX_TICK
from etude.music.midi_parts import Part, pair_notes, parts_of, voices_of
from etude.music.midi_text import decode_text
from etude.music.order import order_of, order_of_rows
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
    voices = voices_of(events)
    begins, ends, others, num_controls = pair_notes(events, voices)
    parts, note_track, track = parts_of(events, voices, begins, others)
    if track.min(initial=0) < 0:
        is_heard = track >= 0
        num_controls = int(np.count_nonzero(is_heard[:num_controls]))
        others, track = others[is_heard], track[is_heard]
    onset = events.tick.take(begins)
    notes = notes_in_order(
        onset,
        events.tick.take(ends) - onset,
        events.data1.take(begins).astype(np.int32),
        events.data2.take(begins).astype(np.int32),
        note_track,
    )
    tables: dict[str, Columns] = {"notes": notes}
    is_by_time = voices.place is None
    if num_controls:
        columns = _others(events, others[:num_controls], track[:num_controls], is_by_time)
        tables["controls"] = Controls.of_int32(*columns)
    if num_controls < len(others):
        tick, track, low, high = _others(events, others[num_controls:], track[num_controls:], is_by_time)
        tables["pitch_bends"] = PitchBends.of_int32(tick, track, (high << 7 | low) - 8192)
    return _assemble(events.division, parts, events.metas, tables)


def _others(events: Events, rows: np.ndarray, track: np.ndarray, is_by_time: bool) -> tuple[np.ndarray, ...]:
    """Return tick, track and both data bytes, int32, of events that are no notes, in order of tick and track."""
    tick = events.tick.take(rows)
    if not is_by_time:
        # events of several voices follow one another
        key = tick.astype(np.int64) << 32 | track
        if (key[1:] < key[:-1]).any():
            order = order_of(key)
            tick, track, rows = tick.take(order), track.take(order), rows.take(order)
    return tick, track, events.data1.take(rows).astype(np.int32), events.data2.take(rows).astype(np.int32)


def _assemble(division: int, parts: list[Part], metas: list[Meta], tables: dict[str, Columns]) -> Score:
    """Build the Score of tables that are there and of meta events.

    Raises:
        MidiError: the time division is not known.
    """
    ppq, constant_tempo = _division(division)
    names = _read_metas(metas, parts, tables)
    if constant_tempo is not None:
        tables["tempos"] = Tempos(tick=[0], us_per_quarter=[constant_tempo])
    tracks = tuple(Track(part.program, part.channel == DRUM_CHANNEL, names.get(part.source, "")) for part in parts)
    return Score(ppq, tracks=tracks, **tables)


def notes_in_order(
    onset_tick: np.ndarray, duration_tick: np.ndarray, pitch: np.ndarray, velocity: np.ndarray, track: np.ndarray
) -> Notes:
    """Return notes, given as int32 columns, in their total order."""
    place = track << 7 | pitch if track.any() else pitch
    order = order_of_rows([onset_tick, place, duration_tick, velocity])
    return Notes.of_int32(*(column.take(order) for column in (onset_tick, duration_tick, pitch, velocity, track)))


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
        own = [meta[1:] for meta in events.metas if meta[0] == source]
        for kind, payload in ((TEMPO, b"\x07\xa1\x20"), (TIME_SIGNATURE, b"\x04\x02\x18\x08")):
            if source and not any(tick == 0 and other == kind for tick, other, _ in own):
                metas.append((source, begin, kind, payload))
        metas += [(source, begin + tick, kind, payload) for tick, kind, payload in own]
    shift = np.array(begins, np.int32).repeat(np.diff(events.first_event))
    return events._replace(tick=events.tick + shift, metas=metas)


def _read_metas(metas: list[Meta], parts: list[Part], tables: dict[str, Columns]) -> dict[int, str]:
    """Add the tables of tempos, signatures and texts; return the names of file tracks that have parts."""
    first_track: dict[int, int] = {}
    for index, part in enumerate(parts):
        first_track.setdefault(part.source, index)
    names: dict[int, str] = {}
    rows: dict[type[Columns], list[tuple]] = {Tempos: [], TimeSignatures: [], KeySignatures: []}
    texts: list[tuple] = []
    if metas and max(metas, key=itemgetter(1))[1] > MAX_TICK:
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
            texts.append((tick, TEXT_KINDS[kind - 1], decode_text(payload), first_track.get(source, WHOLE_PIECE)))
    for table, of_table in rows.items():
        if of_table:
            # of several at one tick the last of the file holds: this keeps their order
            of_table.sort(key=itemgetter(0))
            tables[_FIELD_OF[table]] = table.of_int32(*np.array(list(zip(*of_table, strict=True)), np.int32))
    if texts:
        texts.sort(key=itemgetter(0, 3))
        tables["texts"] = Texts(*zip(*texts, strict=True))
    return names
