"""Edges: the notes that nothing around them is higher, or lower, than."""

import numpy as np


def upper_edges(
    onset_sec: np.ndarray, height: np.ndarray, reaches_sec: tuple[float, ...], *, with_repeats: bool = False
) -> list[np.ndarray]:
    """Return, for each reach, the rows of the notes that no note within reach before or after is higher than.

    Successive edges of one height count once unless ``with_repeats``. For lower edges give negative heights.

    Args:
        onset_sec: rising, float64 (N,) [s].
        height: pitches or the like, int8 (N,).
        reaches_sec: rising [s].

    Example:
        >>> upper_edges(np.array([0.0, 0.1, 0.2, 1.0]), np.array([60, 64, 62, 50], np.int8), (0.05, 0.15))
        [array([0, 1, 2, 3]), array([1, 3])]
    """
    rows, result = np.arange(len(height)), []
    tables = [height]
    for reach_sec in reaches_sec:
        # an edge at a longer reach is one at every shorter
        rows = rows[height[rows] >= _highest_around(onset_sec, onset_sec[rows], reach_sec, tables)]
        is_new = np.ones(len(rows), bool)
        if not with_repeats:
            np.not_equal(height[rows[1:]], height[rows[:-1]], out=is_new[1:])
        result.append(rows[is_new])
    return result


def _highest_around(
    onset_sec: np.ndarray, at_sec: np.ndarray, reach_sec: float, tables: list[np.ndarray]
) -> np.ndarray:
    """Return the greatest height within reach of some times, at each of which there is a note.

    Args:
        onset_sec: of all notes.
        at_sec: the times.
        reach_sec: how far to look, each way.
        tables: the heights; is filled up with the greatest of 2, 4, 8, … successive ones as they are needed.
    """
    first = onset_sec.searchsorted(at_sec - reach_sec, "left")
    end = onset_sec.searchsorted(at_sec + reach_sec, "right")
    exponent = np.frexp(end - first)[1] - 1
    result = np.empty(len(at_sec), tables[0].dtype)
    for power in range(int(exponent.max(initial=-1)) + 1):
        if power == len(tables):
            half = 1 << power - 1
            tables.append(np.maximum(tables[-1][:-half], tables[-1][half:]))
        rows = np.flatnonzero(exponent == power)
        table = tables[power]
        result[rows] = np.maximum(table[first[rows]], table[end[rows] - (1 << power)])
    return result
