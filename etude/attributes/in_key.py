"""In-key rate: how much of the sounding time lies on the seven tones of the piece's key.

The key is the one of `etude.music.key_finding`. A minor key counts with its natural form, the seven tones of its
relative major, so that a doubt between the two relatives changes nothing; raised leading tones count as outside.

One key is found for the whole Score, so a piece that modulates has a lower rate: compare stretches of
similar length. Twelve equally used pitch classes give 7/12.
"""

import numpy as np

from etude.attributes.bins import Bins
from etude.music.key_finding import KEYS, find_key, pitch_class_time
from etude.music.score import Score

__all__ = ["InKey", "find_key", "pitch_class_time"]

_MAJOR_SCALE = (1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1)
_MINOR_SCALE = (1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0)
_SCALES = np.array([np.roll(scale, tonic) for scale in (_MAJOR_SCALE, _MINOR_SCALE) for tonic in range(12)], float)


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
    bins = Bins.of_edges(("chromatic", "mixed", "within the key"), (0.75, 0.9))

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return the rate, 0 to 1, or None where no pitched note sounds."""
        key = find_key(score)
        if key is None:
            return None
        time = pitch_class_time(score)
        return float(_SCALES[key[0] + 12 * key[1]] @ time / time.sum())

    @staticmethod
    def evidence(score: Score) -> str:
        """Say which key, and how long its tones and others sound."""
        key = find_key(score)
        if key is None:
            return "no pitched notes"
        time, place = pitch_class_time(score), key[0] + 12 * key[1]
        inside = float(_SCALES[place] @ time)
        return f"{inside:.1f} of {time.sum():.1f} s of notes on the tones of {KEYS[place]}"
