"""A Score as the events that ids tell, in the order in which they are told.

An event is one whole number, so one sort of plain numbers orders a piece:

    tick (24 bits) | group (9) | kind (2) | payload (27)

Group 0 is what concerns all tracks; its payload is an order, then an id. The other groups are instruments, or
tracks as they come where notes keep the order in which they were played. Of one group at one tick the pedal
comes first (payload: an id), then ends of notes, then notes (payload: pitch, length, level of velocity; or a
row of the table of notes where these keep their order).
"""

from typing import NamedTuple

import numpy as np

from etude.errors import TokenError
from etude.music.score import Notes, Score
from etude.music.timing import DEFAULT_US_PER_QUARTER
from etude.tokens.id_facts import DRUMS
from etude.tokens.tsd_grid import Grid, grid_of
from etude.tokens.tsd_layout import NONE, Layout
from etude.tokens.tsd_pedal import pedal_spans

ALONE, OFF, ON = 0, 1, 2
"""Kinds of events: one id by itself, the end of a note, a note."""

LONGEST_TICK = (1 << 24) - 1
PITCH_AT, LENGTH_AT = 20, 7
"""Where pitch and length stand in the payload of a note; the level is below them."""
_KIND_AT, _GROUP_AT, _TICK_AT = 27, 29, 38
_PITCH_AND_LEVEL = ~(((1 << PITCH_AT - LENGTH_AT) - 1) << LENGTH_AT)
_ORDER_AT = 24
"""Where the order of an id of all tracks stands in its payload."""


class Events(NamedTuple):
    """A piece in order; columns (E,)."""

    tick: np.ndarray
    kind: np.ndarray
    payload: np.ndarray
    instrument: np.ndarray | None
    """0..128; None where there is but one pitched instrument."""
    grid: Grid


class _Notes(NamedTuple):
    onset: np.ndarray
    length: np.ndarray
    """In ticks, or the number of the length in its ladder; both rise with it."""
    payload: np.ndarray
    instrument: np.ndarray | None
    group: np.ndarray | int


def events_of(score: Score, layout: Layout) -> Events | None:
    """Return a piece as events, or None if it has no note that these settings tell.

    Raises:
        TokenError: a pitch, velocity or time outside MIDI, or a piece that is too long.
    """
    told = layout.settings
    if not len(score.notes):
        return None
    grid = grid_of(score, told)
    _refuse_impossible(score, grid)
    of_track = _instruments(score, layout)
    notes = _notes(score, layout, grid, of_track)
    if notes is None:
        return None
    row = np.arange(len(notes.onset)) if told.note_order == "played" else notes.payload
    keys = [_keys(notes.onset, notes.group, ON, row), *_keys_of_all_tracks(score, layout, grid)]
    if layout.has_offs:
        keys.append(_keys(notes.onset + notes.length, notes.group, OFF, row))
    if told.use_sustain_pedals:
        keys += _pedal_keys(score, layout, grid, of_track, notes)
    key = np.concatenate(keys)
    # notes come by time, so few are out of place, unless their ends come too; equal events are the same
    key.sort(kind=None if layout.has_offs else "stable")
    return _columns(key, notes, grid, has_rows=told.note_order == "played")


def _columns(key: np.ndarray, notes: _Notes, grid: Grid, *, has_rows: bool) -> Events:
    # narrow columns are faster to read; the low half of a key holds kind and payload
    low = key.astype(np.uint32)
    kind = ((low >> _KIND_AT) & 3).astype(np.uint8)
    payload = (low & ((1 << _KIND_AT) - 1)).astype(np.int32)
    if not has_rows:
        instrument = None if notes.instrument is None else ((key >> _GROUP_AT) & 511) - 1
        return Events(key >> _TICK_AT, kind, payload, instrument, grid)
    is_note = kind > 0
    rows = payload[is_note]
    payload[is_note] = notes.payload[rows]
    instrument = None
    if notes.instrument is not None:
        instrument = np.zeros(len(key), np.int64)
        instrument[is_note] = notes.instrument[rows]
    return Events(key >> _TICK_AT, kind, payload, instrument, grid)


def _keys(tick: np.ndarray, group: np.ndarray | int, kind: int, payload: np.ndarray | int) -> np.ndarray:
    key = tick << (_TICK_AT - _GROUP_AT)
    key |= group
    key <<= _GROUP_AT
    key |= payload
    if kind:
        key |= kind << _KIND_AT
    return key


def _refuse_impossible(score: Score, grid: Grid) -> None:
    notes = score.notes
    bits = int(np.bitwise_or.reduce(notes.pitch | notes.velocity))
    if not 0 <= bits < 128 or notes.onset_tick[0] < 0:
        raise TokenError("score: a pitch, velocity or time outside MIDI; etude.music.check.check_score names it")
    last = int(notes.onset_tick[-1]) + int(np.maximum.reduce(notes.duration_tick))
    if (last + 1) * grid.tpq >= LONGEST_TICK * score.ppq:
        quarters = LONGEST_TICK // grid.tpq
        raise TokenError(
            f"score: {last // score.ppq} quarters long, expected at most {quarters}; cut it with etude.music.edit.trim"
        )


def _instruments(score: Score, layout: Layout) -> np.ndarray:
    """Return the instrument of each track, ``NONE`` for those left out; pooled tracks are 0, or drums."""
    told = layout.settings
    is_drum = np.array([track.is_drum for track in score.tracks], bool)
    if not told.use_programs:
        return np.where(is_drum & told.use_pitchdrum_tokens, DRUMS, 0)
    instrument = np.where(is_drum, DRUMS, [track.program for track in score.tracks])
    return np.where(layout.row_of_instrument[instrument] == NONE, NONE, instrument)


def _notes(score: Score, layout: Layout, grid: Grid, of_track: np.ndarray) -> _Notes | None:
    """Return the notes that are told, with what their ids are made of."""
    notes, told = score.notes, layout.settings
    is_one = not told.use_programs and not of_track.any()
    instrument = None if is_one else of_track.take(notes.track)
    # the row of NONE, -1, is the last
    low, high = told.pitch_range if is_one else (bound.take(instrument, mode="wrap") for bound in layout.pitches)
    is_told = (notes.pitch >= low) & (notes.pitch <= high)
    if not is_told.all():
        notes = notes.take(is_told)
        instrument = None if instrument is None else instrument[is_told]
        if not len(notes):
            return None
    payload = notes.pitch.astype(np.int64) << PITCH_AT
    payload |= layout.level_of_velocity.take(notes.velocity)
    if layout.has_offs:
        onset, length = grid.spans(notes.onset_tick, notes.duration_tick)
        length -= onset
    else:
        onset = grid.on_steps(grid.ticks(notes.onset_tick))
        length = layout.durations.nearest(grid.ticks(notes.duration_tick), grid.step_at(onset))
        payload |= length << LENGTH_AT
    told_notes = _Notes(onset, length, payload, instrument, 1 if instrument is None else instrument + 1)
    if told.note_order == "played":
        told_notes = _as_played(told_notes, notes, of_track, grid)
    return _without_duplicates(told_notes) if told.remove_duplicated_notes else told_notes


def _as_played(told: _Notes, notes: Notes, of_track: np.ndarray, grid: Grid) -> _Notes:
    """Order notes as MidiTok does: instruments as tracks come, notes as they came before they were rounded.

    Only tracks that are merged into one instrument are sorted anew: by length, then pitch.
    """
    if told.instrument is None:
        return told
    first, last = np.full(DRUMS + 1, len(of_track)), np.full(DRUMS + 1, -1)
    known = np.flatnonzero(of_track != NONE)
    np.minimum.at(first, of_track[known], known)
    np.maximum.at(last, told.instrument, notes.track)
    is_merged = (first < last)[told.instrument]
    length = np.maximum(grid.ticks(notes.duration_tick), 1)
    keys = (told.payload & _PITCH_AND_LEVEL, length, grid.ticks(notes.onset_tick))
    order = np.lexsort([np.where(is_merged, key, 0) for key in keys])
    group = 1 + np.searchsorted(np.unique(first), first)[told.instrument]
    return _take(told._replace(group=group), order)


def _without_duplicates(notes: _Notes) -> _Notes:
    """Keep of equal pitches of an instrument at one tick the shortest, of those the softest."""
    group = np.broadcast_to(notes.group, notes.onset.shape)
    pitch = notes.payload >> PITCH_AT
    order = np.lexsort((notes.payload, notes.length, pitch, group, notes.onset))
    keys = [column[order] for column in (notes.onset, group, pitch)]
    is_first = np.append(True, np.any([key[1:] != key[:-1] for key in keys], axis=0))
    return _take(notes, order[is_first])


def _take(notes: _Notes, rows: np.ndarray) -> _Notes:
    return _Notes(*(column.take(rows) if isinstance(column, np.ndarray) else column for column in notes))


def _keys_of_all_tracks(score: Score, layout: Layout, grid: Grid) -> list[np.ndarray]:
    """Return the events of signatures, tempos and keys, in this order where they fall on one tick."""
    told, keys = layout.settings, []
    if told.use_time_signatures:
        known, first = told.time_signature_range, layout.first("TimeSig")
        rows = [(tick, first + known.index(metre)) for tick, metre in grid.signatures if metre in known]
        keys.append(np.array([tick << _TICK_AT | row for tick, row in rows if tick <= LONGEST_TICK], np.int64))
    if told.use_tempos:
        tempos = score.tempos
        level = layout.tempo_level(tempos.us_per_quarter)
        default = layout.tempo_level(np.array([DEFAULT_US_PER_QUARTER]))
        tick, level = _last_of_each_tick(grid.on_steps(grid.ticks(tempos.tick)), level, default)
        if told.delete_equal_successive_tempo_changes:
            is_new = np.append(True, level[1:] != level[:-1])
            tick, level = tick[is_new], level[is_new]
        keys.append(_keys(tick, 0, ALONE, 1 << _ORDER_AT | layout.first("Tempo") + level))
    if told.use_key_signatures:
        signatures = score.key_signatures
        row = 2 * (signatures.sharps + 7) + signatures.is_minor
        tick, row = _last_of_each_tick(grid.on_steps(grid.ticks(signatures.tick)), row, np.array([14]))
        keys.append(_keys(tick, 0, ALONE, 2 << _ORDER_AT | layout.first("KeySig") + row))
    return keys


def _last_of_each_tick(tick: np.ndarray, row: np.ndarray, default: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep the last row of each tick, and begin with a default where nothing is said at the beginning."""
    if not len(tick) or tick[0] > 0:
        tick, row = np.append(0, tick), np.append(default, row)
    is_last = np.append(tick[1:] != tick[:-1], True) & (tick <= LONGEST_TICK)
    return tick[is_last], row[is_last]


def _pedal_keys(score: Score, layout: Layout, grid: Grid, of_track: np.ndarray, notes: _Notes) -> list[np.ndarray]:
    """Return the events of the pedals of instruments that play."""
    down, up = layout.first("Pedal"), layout.first("PedalOff")
    keys = []
    groups = np.broadcast_to(notes.group, notes.onset.shape)
    for instrument, begin, end in pedal_spans(score, grid, of_track):
        if instrument == DRUMS and not layout.settings.use_programs:
            continue
        played = slice(None) if notes.instrument is None else notes.instrument == instrument
        if not len(groups[played]):
            continue
        row, group = int(layout.row_of_instrument[instrument]), int(groups[played][0])
        keys += [_keys(begin, group, ALONE, down + row), _keys(end, group, ALONE, up + row)]
    return keys
