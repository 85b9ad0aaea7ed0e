"""What `remi` ids tell, as a Score: a track for each instrument, more where a key sounds twice.

Notes are whole numbers here as they are in encoding, so that sorting them is sorting plain numbers:

    onset unit (26 bits) | track (14) | pitch (7) | duration (7) | velocity level (5)
"""

import numpy as np

from etude.music.order import order_of
from etude.music.score import Notes, Score, TimeSignatures, Track
from etude.tokens.remi_notes import LENGTH_UNITS, PPQ, TICKS_PER_UNIT, Told
from etude.tokens.remi_vocab import DRUMS, METRES

_ONSET_BIT, _TRACK_BIT, _PITCH_BIT, _DURATION_BIT = 33, 19, 12, 5
_UNIT_BITS = 26


def score_of(told: Told) -> Score:
    """Build the Score; its tracks are in the order of their instruments."""
    layer, num_layers = _layers(told)
    key = told.onset << _ONSET_BIT
    if num_layers == 1 and not told.instrument.any():
        kinds = [0] * (len(key) > 0)
    else:
        voice = told.instrument * num_layers + layer
        is_used = np.bincount(voice, minlength=1) > 0
        kinds = (is_used.nonzero()[0] // num_layers).tolist()
        key |= (is_used.cumsum() - 1).take(voice) << _TRACK_BIT
    key |= told.pitch << _PITCH_BIT
    key |= told.duration << _DURATION_BIT
    key |= told.level
    key.sort()
    low = key.astype(np.int32)
    onset = (key >> _ONSET_BIT).astype(np.int32)
    onset *= np.int32(TICKS_PER_UNIT)
    track = (key >> _TRACK_BIT).astype(np.int32) & 0x3FFF if len(kinds) > 1 else np.zeros(len(key), np.int32)
    notes = Notes.of_int32(
        onset,
        _LENGTH_TICKS.take(low >> _DURATION_BIT & 127),
        low >> _PITCH_BIT & 127,
        (low & 31) * np.int32(4) + np.int32(2),
        track,
    )
    upper, lower = _METRES.take(told.metre, axis=1)
    return Score(
        ppq=PPQ,
        notes=notes,
        tracks=tuple(Track(0, is_drum=True) if kind == DRUMS else Track(kind) for kind in kinds),
        tempos=told.tempos(),
        time_signatures=TimeSignatures(
            tick=(told.metre_unit * TICKS_PER_UNIT).astype(np.int32), numerator=upper, denominator=lower
        ),
    )


_LENGTH_TICKS = (LENGTH_UNITS * TICKS_PER_UNIT).astype(np.int32)
_METRES = np.array(METRES, np.int32).T


def _layers(told: Told) -> tuple[np.ndarray | int, int]:
    """Return which layer of its instrument each note goes to, 0 for nearly all, and how many layers there are.

    MIDI says only which key comes up, not which of two notes of that key ends. A note within a longer one of the
    same key therefore goes to the next layer, which becomes a track of its own. Each is shorter than the one
    around it, so there are at most 95.
    """
    # one key above the other, in order of onset, the shorter first
    key = ((told.instrument << 7 | told.pitch) << _UNIT_BITS | told.onset) << 7 | told.duration
    ordered = np.sort(key)
    reach = _reach(ordered)
    # where any note ends before an earlier one, some note ends before the one right before it
    if not (reach[1:] < reach[:-1]).any():
        return 0, 1
    layer, order = np.zeros(len(key), np.int64), order_of(key)
    while len(order):
        reach = _reach(key.take(order))
        order = order.take((reach < np.maximum.accumulate(reach)).nonzero()[0])
        layer[order] += 1
    return layer, int(layer.max()) + 1


def _reach(key: np.ndarray) -> np.ndarray:
    """Return when the sorted notes of ``_layers`` end, each key above the ends of all lower ones."""
    unit = key >> 7
    # two more bits for what sounds beyond the last onset
    return unit + (unit >> _UNIT_BITS << _UNIT_BITS) + LENGTH_UNITS.take(key & 127)
