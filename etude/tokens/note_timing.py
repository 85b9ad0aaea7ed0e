"""What single ids do to notes and to the clock, for tokenizers whose notes begin and end with ids of their own."""

from typing import NamedTuple

import numpy as np

NO_KEY = -1


class NoteTiming(NamedTuple):
    """Three facts of each id of a vocabulary.

    Attributes:
        starts: the key that begins to sound, ``NO_KEY`` for none; int64 (V,).
        ends: the key that stops, ``NO_KEY`` for none; int64 (V,).
        advance_sec: how far the clock moves; float32 (V,).
        num_keys: keys there are.
    """

    starts: np.ndarray
    ends: np.ndarray
    advance_sec: np.ndarray
    num_keys: int
