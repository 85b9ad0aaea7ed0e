"""In-key rate: how much of the sounding time lies on the seven tones of the piece's key.

The key is the one of 24 whose profile of tone weights correlates best with the time that each of the twelve
pitch classes sounds (drums left out, pedal not counted). A minor key counts with its natural form, the
seven tones of its relative major, so that a doubt between the two relatives changes nothing; raised
leading tones count as outside.

One key is found for the whole Score, so a piece that modulates has a lower rate: compare stretches of
similar length. Twelve equally used pitch classes give 7/12.

Source: the profiles of Krumhansl and Kessler (1982) and the correlation method of Krumhansl,
"Cognitive Foundations of Musical Pitch" (1990), chapter 4.
"""

import numpy as np

from etude.music.score import Score

# perceived fit of each pitch class above the tonic, rated 1 to 7
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_MAJOR_SCALE = (1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1)
_MINOR_SCALE = (1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0)


def _all_keys(major: tuple, minor: tuple) -> np.ndarray:
    """Return (24, 12): twelve major keys from C, then twelve minor keys."""
    return np.array([np.roll(mode, tonic) for mode in (major, minor) for tonic in range(12)], np.float64)


_PROFILES = _all_keys(_MAJOR, _MINOR)
_PROFILES -= _PROFILES.mean(axis=1, keepdims=True)
_PROFILES /= np.linalg.norm(_PROFILES, axis=1, keepdims=True)
_SCALES = _all_keys(_MAJOR_SCALE, _MINOR_SCALE)


def pitch_class_time(score: Score) -> np.ndarray:
    """Return the seconds that each pitch class sounds, (12,) float64 from C, drums left out."""
    pitched = ~np.array([track.is_drum for track in score.tracks] or [False])[score.notes.track]
    seconds = (score.offset_sec - score.onset_sec) * pitched
    return np.bincount(score.notes.pitch % 12, seconds, minlength=12)


def find_key(score: Score) -> tuple[int, bool] | None:
    """Return the tonic, 0 for C to 11 for B, and whether the key is minor; None where nothing sounds.

    Example:
        >>> find_key(Score.of([0, 1, 2, 3], [4, 3, 2, 1], [60, 64, 67, 65]))
        (0, False)
    """
    time = pitch_class_time(score)
    if time.sum() <= 0:
        return None
    key = int(np.argmax(_PROFILES @ time))
    return key % 12, key >= 12


class InKey:
    """The share of sounding time on the tones of the best-fitting key."""

    title = "in-key rate"
    unit = "share of sounding time"
    meaning = (
        "How much of the sounding time falls on the seven tones of the piece's own key; "
        "twelve tones used equally would give 0.58."
    )
    origin = "measured"
    transposed = "same"
    faster = "same"

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return the rate, 0 to 1, or None where no pitched note sounds."""
        key = find_key(score)
        if key is None:
            return None
        time = pitch_class_time(score)
        return float(_SCALES[key[0] + 12 * key[1]] @ time / time.sum())
