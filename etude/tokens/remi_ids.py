"""The column work of encoding in the `remi` tokenizer: notes to ids.

No loop runs over notes: a note is one whole number, of which the high bits say where and the low ones what,

    bar | position (7 bits) | instrument (8) | 127 - pitch (7) | 127 - duration (7) | 31 - velocity level (5)

so one sort gives the order of the ids: instruments upwards, pitches downwards, then the longest, then the loudest.
N is the number of notes, T of ids.
"""

from typing import NamedTuple

import numpy as np

from etude.tokens.remi_vocab import (
    BAR,
    DURATION,
    INSTRUMENT,
    METRE,
    PITCH,
    POSITION,
    TEMPO,
    VELOCITY,
)

_PITCH_BIT, _DURATION_BIT, _INSTRUMENT_BIT, _PLACE_BIT, _BAR_BIT = 12, 5, 19, 27, 34
_DOWNWARDS = np.int32((1 << _INSTRUMENT_BIT) - 1)


class Form(NamedTuple):
    """What is written.

    Attributes:
        metre: at the beginning of each bar.
        bar_tempo: after it.
        position_tempo: after each position.
        velocity: after each duration.
        instrument: before each note, instead of where it changes.
    """

    metre: bool
    bar_tempo: bool
    position_tempo: bool
    velocity: bool
    instrument: bool


FORMS = {
    "remigen2": Form(metre=True, bar_tempo=True, position_tempo=False, velocity=True, instrument=False),
    "remigen": Form(metre=True, bar_tempo=False, position_tempo=True, velocity=True, instrument=False),
    "reduced": Form(metre=False, bar_tempo=False, position_tempo=False, velocity=False, instrument=True),
}


def packed_notes(
    place: np.ndarray, instrument: np.ndarray | int, pitch: np.ndarray, duration: np.ndarray, level: np.ndarray
) -> np.ndarray:
    """Return notes as the module's header packs them, sorted, int64 (N,).

    Args:
        place: from ``etude.tokens.remi_grid``, int64 (N,).
        instrument: 0..128.
        pitch: 0..127, int32 (N,).
        duration: number of the length, 1..95, int32 (N,).
        level: 0..31, int32 (N,).
    """
    low = pitch << _PITCH_BIT
    low |= duration << _DURATION_BIT
    low |= level
    low ^= _DOWNWARDS
    low |= instrument << _INSTRUMENT_BIT
    key = place << _PLACE_BIT
    key |= low
    key.sort()
    return key


def ids_of_notes(
    key: np.ndarray, form: Form, metre: np.ndarray | int, bar_tempo: np.ndarray | int, tempo: np.ndarray | int
) -> np.ndarray:
    """Write sorted notes as ids, from the first bar to that of the last note.

    Args:
        key: from ``packed_notes``, N > 0.
        form: what is written.
        metre: number of the metre of each bar, or of all.
        bar_tempo: number of the tempo of each bar, or of all.
        tempo: number of the tempo of each place with notes, or of all.

    Returns:
        int32 (T,).
    """
    starts_place, starts_instrument = _starts(key, _PLACE_BIT), _starts(key, _INSTRUMENT_BIT)
    places = starts_place.nonzero()[0]
    place = key[places] >> _PLACE_BIT
    bar = place >> 7
    # how many ids each note is written with
    count = starts_place.view(np.int8) << np.int8(form.position_tempo)
    if not form.instrument:
        count += starts_instrument.view(np.int8)
    count += np.int8(2 + form.velocity + form.instrument)
    end = count.astype(np.int64)
    # each bar is written with the end of the bar before it, so the first id of all is spare
    per_bar = 1 + form.metre + form.bar_tempo
    end[places[1:]] += (bar[1:] - bar[:-1]) * per_bar
    end[0] += (bar[0] + 1) * per_bar
    end.cumsum(out=end)
    number = np.arange(int(bar[-1]) + 1)
    first = bar.searchsorted(number)
    begin = end[places[first]] - count[places[first]] - (bar[first] + 1 - number) * per_bar
    ids = np.empty(int(end[-1]) + 1, np.int32)
    ids[begin[1:]] = BAR
    ids[-1] = BAR
    if form.metre:
        ids[begin + 1] = metre + METRE
    if form.bar_tempo:
        ids[begin + 2] = bar_tempo + TEMPO
    at = end[places] - (4 + form.velocity)
    if form.position_tempo:
        ids[at] = tempo + TEMPO
        at -= 1
    ids[at] = (place & 127) + POSITION
    if not form.instrument:
        rows = starts_instrument.nonzero()[0]
        ids[end[rows] - (3 + form.velocity)] = (key[rows] >> _INSTRUMENT_BIT & 255) + INSTRUMENT
    _write_notes(ids, key, end, form)
    return ids[1:]


def bars_of(key: np.ndarray) -> np.ndarray:
    """Return the place of each bar line, from the first bar to that of the last note, int64."""
    return np.arange(int(key[-1] >> _BAR_BIT) + 1) << _BAR_BIT - _PLACE_BIT


def places_of(key: np.ndarray) -> np.ndarray:
    """Return the places that have notes, in order, int64."""
    return key[_starts(key, _PLACE_BIT)] >> _PLACE_BIT


def _starts(key: np.ndarray, bit: int) -> np.ndarray:
    """Return where sorted notes differ from the one before in this bit or a higher one, the first included."""
    result = np.empty(len(key), bool)
    result[0] = True
    np.greater_equal(key[1:] ^ key[:-1], 1 << bit, out=result[1:])
    return result


def _write_notes(ids: np.ndarray, key: np.ndarray, end: np.ndarray, form: Form) -> None:
    """Write what every note has, backwards from its end; ``end`` is used up."""
    low = key.astype(np.int32)
    # of instruments only drums have the bit of 128, and theirs are the pitches from 128 on
    drum = low >> _INSTRUMENT_BIT
    if form.instrument:
        ids[end - 3] = (drum & 255) + np.int32(INSTRUMENT)
    drum &= 128
    low ^= _DOWNWARDS
    if form.velocity:
        end -= 1
        ids[end] = (low & 31) + np.int32(VELOCITY)
    end -= 1
    ids[end] = (low >> _DURATION_BIT & 127) + np.int32(DURATION)
    end -= 1
    low >>= _PITCH_BIT
    low &= 127
    low += drum
    low += PITCH
    ids[end] = low
