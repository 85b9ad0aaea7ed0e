"""How far a piece must move to stand in C major or A minor.

The key is the one of 24 whose profile of tone weights correlates best with how long each of the twelve pitch
classes sounds, as the ids tell it. Among keys that fit equally well, as all of a whole-tone scale do, the one
counts whose tonic lies nearest above the lowest note that sounds last. A piece moves at most six semitones down or
five up, and by octaves from there if it would leave the keyboard; one that fits nowhere stays.

Everything up to the choice is counted in whole numbers, so a transposed piece finds the transposed key exactly, and
pieces that are transpositions of each other by -5 to 6 semitones from C or A become equal.

Source: the profiles of Krumhansl and Kessler (1982). MuseCoco weighs the tones of 24 scales by counts of notes,
compares the first two of the keys that tie, and moves pieces by up to eleven semitones down or nine up.
"""

import numpy as np

from etude.music.key_profiles import MAJOR, MINOR


def _centred(profile: tuple[int, ...]) -> np.ndarray:
    """Return a profile's twelve transpositions, (12, 12), twelve times its distance from the mean."""
    weights = 12 * np.array(profile, np.int64) - sum(profile)
    return np.array([np.roll(weights, tonic) for tonic in range(12)])


_KEYS = np.concatenate([_centred(MAJOR), _centred(MINOR)])
# one number a mode: equal sums must stay equal
_NORM = np.repeat(np.linalg.norm(_KEYS[::12].astype(np.float64), axis=1), 12)


def shift_to_c(pitch: np.ndarray, length: np.ndarray, end: np.ndarray) -> int:
    """Return the semitones that move notes to C major or A minor.

    Args:
        pitch: 0..127, drums left out, (N,).
        length: how long each sounds, whole numbers, (N,).
        end: when each ends, whole numbers, (N,).

    Example:
        >>> chord = np.array([61, 65, 68])
        >>> shift_to_c(chord, np.full(3, 12), np.full(3, 12)), shift_to_c(chord - 1, np.full(3, 12), np.full(3, 12))
        (-1, 0)
    """
    if not len(pitch):
        return 0
    sounding = np.bincount(pitch % 12, length, minlength=12).astype(np.int64)
    fit = (_KEYS @ sounding) / _NORM
    best = np.flatnonzero(fit == fit.max())
    bass = int(pitch[end == end.max()].min())
    key = min(best.tolist(), key=lambda one: ((one - bass) % 12, one >= 12))
    tonic = key % 12 if key < 12 else (key + 3) % 12
    shift = 5 - (tonic + 5) % 12
    low, high = int(pitch.min()), int(pitch.max())
    shifts = (shift, shift + 12, shift - 12, 0)
    return next(moved for moved in shifts if low + moved >= 0 and high + moved <= 127)
