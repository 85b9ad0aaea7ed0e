"""What ids tell, as a Score.

A quarter has a multiple of the fine ticks, about 480. There is a track for each instrument. Where a note ends before
an earlier one of its pitch, as it does when parts have been pooled, it goes to a further track of its instrument:
on one track the two would change ends in a MIDI file.
"""

import numpy as np

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
    voice = _layers(told) << 8 | told.instrument
    occurs = np.bincount(voice) > 0
    instruments, track = (np.flatnonzero(occurs) & 255).tolist(), (np.cumsum(occurs) - 1)[voice]
    notes = Notes.of(
        onset_tick=told.onset * times,
        duration_tick=(told.end - told.onset) * times,
        pitch=told.pitch,
        velocity=told.velocity,
        track=track,
    )
    tracks = tuple(Track(0, is_drum=True) if one == DRUMS else Track(one) for one in instruments)
    layout = reader.layout
    return Score(
        ppq=per_quarter * times,
        notes=notes,
        tracks=tracks or (Track(0),),
        tempos=tempos_of(told, layout, times),
        time_signatures=_signatures(told, layout, times),
        key_signatures=_keys(told, times),
        controls=_pedals(told, layout, times, instruments),
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
        return Tempos.of(tick=[0], us_per_quarter=[DEFAULT_US_PER_QUARTER])
    return Tempos(tick=tick * times, us_per_quarter=layout.us_per_quarter[level])


def _layers(told: Told) -> np.ndarray:
    """Return a number for each note: notes of one layer, instrument and pitch end in the order of their onsets."""
    layer = np.zeros(len(told.onset), np.int64)
    # key, then time, in one number: 15 and 24 bits, and 24 for the length
    key = (told.instrument << 7 | told.pitch) << 24
    rows = np.argsort((key | told.onset) << 24 | (told.end - told.onset))
    end = (key | told.end)[rows]
    while len(rows):
        # ends rise from key to key, so that the latest so far is one of the same key
        is_late = end < np.maximum.accumulate(end)
        rows, end = rows[is_late], end[is_late]
        layer[rows] += 1
    return layer


def _signatures(told: Told, layout: Layout, times: int) -> TimeSignatures:
    tick, number = told.others["TimeSig"]
    upper, lower = np.array(layout.settings.time_signature_range, np.int64).reshape(-1, 2)[number].T
    return TimeSignatures(tick=tick * times, numerator=upper, denominator=lower)


def _keys(told: Told, times: int) -> KeySignatures:
    tick, number = told.others["KeySig"]
    return KeySignatures(tick=tick * times, sharps=number // 2 - 7, is_minor=number % 2)


def _pedals(told: Told, layout: Layout, times: int, instruments: list[int]) -> Controls:
    """Return the pedals of instruments that play, on the first track of each."""
    (down, down_row), (up, up_row) = told.others["Pedal"], told.others["PedalOff"]
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
