"""What ids tell, as a Score.

A quarter has a multiple of the fine ticks, about 480. There is a track for each instrument. Where a note ends before
an earlier one of its pitch, as it does when parts have been pooled, it goes to a further track of its instrument:
on one track the two would change ends in a MIDI file.
"""

import numpy as np

from etude.music.midi_in import notes_in_order
from etude.music.order import settle_ties
from etude.music.score import Controls, KeySignatures, Notes, Score, Tempos, TimeSignatures, Track
from etude.music.timing import DEFAULT_US_PER_QUARTER
from etude.tokens.id_facts import DRUMS
from etude.tokens.tsd_layout import Layout
from etude.tokens.tsd_pedal import SUSTAIN
from etude.tokens.tsd_reading import Reader, Told

_ABOUT_PPQ = 480


def score_of(told: Told, reader: Reader) -> Score:
    """Return the piece that ids tell."""
    per_quarter = reader.ticks_per_quarter
    times = max(_ABOUT_PPQ // per_quarter, 1)
    instruments, track = _tracks(told)
    columns = (told.onset * times, (told.end - told.onset) * times, told.pitch, told.velocity, track)
    columns = [column.astype(np.int32, copy=False) for column in columns]
    # the notes of one track are told in order, or nearly
    notes = Notes(*columns).in_order() if len(instruments) < 2 else notes_in_order(*columns)
    tracks = tuple(Track(0, is_drum=True) if one == DRUMS else Track(one) for one in instruments)
    layout = reader.layout
    tables = {
        "time_signatures": _signatures(told, reader, times),
        "key_signatures": _keys(told, times),
        "controls": _pedals(told, layout, times, instruments),
    }
    return Score(
        ppq=per_quarter * times,
        notes=notes,
        tracks=tracks or (Track(0),),
        tempos=tempos_of(told, layout, times),
        **{name: table for name, table in tables.items() if table is not None},
    )


def tempos_of(told: Told, layout: Layout, times: int) -> Tempos:
    """Return the tempos that ids tell, 120 quarters a minute where they tell none.

    Args:
        told: what ids tell.
        layout: the vocabulary.
        times: ticks of the Score to a fine tick.
    """
    tick, level = told.others["Tempo"]
    if not len(tick):
        return _UNTOLD_TEMPOS
    return Tempos(tick=tick * times, us_per_quarter=layout.us_per_quarter[level])


_UNTOLD_TEMPOS = Tempos.of(tick=[0], us_per_quarter=[DEFAULT_US_PER_QUARTER])


def _tracks(told: Told) -> tuple[list[int], np.ndarray]:
    """Return the instrument of each track, and the track of each note, int32 (N,)."""
    layer = _layers(told)
    if layer is None and not told.instrument.any():
        return [0] * (len(told.onset) > 0), np.zeros(len(told.onset), np.int32)
    voice = told.instrument if layer is None else layer << 8 | told.instrument
    occurs = np.bincount(voice) > 0
    return (occurs.nonzero()[0] & 255).tolist(), (occurs.cumsum(dtype=np.int32) - 1).take(voice)


def _layers(told: Told) -> np.ndarray | None:
    """Return a number for each note: notes of one layer, instrument and pitch end in the order of their onsets.

    None where all are of the first layer.
    """
    # key, then time, in one number: 15 and 24 bits, and 24 for the length
    key = told.instrument << 7 | told.pitch
    # numpy sorts 16-bit numbers by radix; notes of one key stay in order of onset
    rows = key.astype(np.uint16).argsort(kind="stable")
    key <<= 24
    key_end = key | told.end
    end = key_end.take(rows)
    if not (end[1:] < end[:-1]).any():
        return None
    layer = np.zeros(len(told.onset), np.int64)
    # of notes that begin together the shorter comes first
    settle_ties(rows, (key | told.onset).take(rows), [told.end])
    end = key_end.take(rows)
    while len(rows):
        # ends rise from key to key, so that the latest so far is one of the same key
        is_late = (end < np.maximum.accumulate(end)).nonzero()[0]
        rows, end = rows[is_late], end[is_late]
        layer[rows] += 1
    return layer


def _signatures(told: Told, reader: Reader, times: int) -> TimeSignatures | None:
    tick, number = told.others["TimeSig"]
    if not len(tick):
        return None
    upper, lower = reader.metres.take(number, axis=1)
    return TimeSignatures((tick * times).astype(np.int32), upper, lower)


def _keys(told: Told, times: int) -> KeySignatures | None:
    tick, number = told.others["KeySig"]
    if not len(tick):
        return None
    return KeySignatures(tick=tick * times, sharps=number // 2 - 7, is_minor=number % 2)


def _pedals(told: Told, layout: Layout, times: int, instruments: list[int]) -> Controls | None:
    """Return the pedals of instruments that play, on the first track of each."""
    (down, down_row), (up, up_row) = told.others["Pedal"], told.others["PedalOff"]
    if not len(down) + len(up):
        return None
    first = np.full(DRUMS + 1, -1)
    for track, instrument in reversed(list(enumerate(instruments))):
        first[instrument] = track
    track = first[layout.instrument_of_row[np.concatenate([down_row, up_row])]]
    is_there = track >= 0
    value = np.concatenate([np.full(len(down), 127), np.zeros(len(up), np.int64)])[is_there]
    tick = np.concatenate([down, up])[is_there] * times
    # a pedal that comes up and goes down at once comes up first
    order = np.lexsort((value, track[is_there], tick))
    columns = (tick, track[is_there], np.full(len(tick), SUSTAIN), value)
    return Controls(*(column[order] for column in columns))
