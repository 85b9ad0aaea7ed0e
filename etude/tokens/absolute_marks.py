"""What training adds to the ids of the absolute and the relative tokenizer: the mark before the end, and the order
of the prefix. Plain encoding has neither; both are functions of their arguments alone.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from etude.randomness import Index, below, permutation
from etude.tokens.absolute_layout import IS_DURATION, IS_TIME, NEAR_END, START

SHORTEST_MARKED = 151
"""Ids after START that a piece needs to have a mark."""
_BEFORE_END, _SPREAD = 100, 10


def mark_near_end(tokenizer: Any, ids: np.ndarray, *, seed: int, index: Sequence[Index] = ()) -> np.ndarray:
    """Put NEAR_END 100 ids before the end of a piece, 10 more or fewer by chance, never inside a group.

    A model that knows the mark can be asked to come to an end. Pieces of 150 ids or fewer stay as they are.

    Args:
        tokenizer: an absolute or relative tokenizer.
        ids: of a piece, START included, without END.
        seed: of the experiment.
        index: what the place depends on, such as a step and a piece.
    """
    starts = np.flatnonzero(ids == START)
    if not starts.size or len(ids) - int(starts[0]) - 1 < SHORTEST_MARKED:
        return ids
    place = len(ids) - _BEFORE_END - _SPREAD + below(2 * _SPREAD + 1, seed, "near end", *index)
    kinds = tokenizer.layout.kinds
    inside = (IS_TIME, IS_DURATION) if tokenizer.layout.has_segments else (IS_DURATION,)
    while kinds[ids[place]] in inside:
        place -= 1
    return np.insert(ids, place, np.asarray(NEAR_END, ids.dtype))


def shuffle_prefix(ids: np.ndarray, *, seed: int, index: Sequence[Index] = ()) -> np.ndarray:
    """Return the ids with what stands before START in an order by chance.

    Args:
        ids: of a piece.
        seed: of the experiment.
        index: what the order depends on, such as a step and a piece.

    Example:
        >>> sorted(shuffle_prefix(np.array([6, 16, 20, 0, 827]), seed=1)[:3].tolist())
        [6, 16, 20]
    """
    starts = np.flatnonzero(ids == START)
    count = int(starts[0]) if starts.size else 0
    ids = ids.copy()
    ids[:count] = ids[permutation(count, seed, "prefix", *index)]
    return ids
