"""Pieces as the published models of the anticipation tokenizer are trained on them: rows of 1,024 ids.

A row is a flag and 341 triplets of pieces laid end to end, each piece announced by END three times. Times count from
the least of the row, or, after the first END, from the beginning of their piece. Rows that hold later times than the
vocabulary has, 100 s, are left out.
"""

from collections.abc import Iterable

import numpy as np

from etude.tokens.anticipation_layout import ANOTE, ANTICIPATE, AUTOREGRESS, CONTROL, END, STEPS_IN_WINDOW

TRIPLETS_IN_ROW = 341
_LATE = 1 << 40
_ANNOUNCED = np.array([[0, END, END, AUTOREGRESS]])


def published_rows(pieces: Iterable[np.ndarray]) -> np.ndarray:
    """Return the rows of some pieces; what does not fill the last row is left out.

    Args:
        pieces: ids of each, as ``AnticipationTokenizer.encode`` writes them.

    Returns:
        int32 (rows, 1024).

    Example:
        >>> from etude.music.score import Score
        >>> from etude.tokens.anticipation import AnticipationTokenizer
        >>> ids = AnticipationTokenizer().encode(Score.of(range(0, 48000, 240), [240] * 200, [60] * 200))
        >>> rows = published_rows([ids, ids])
        >>> rows.shape, rows[0, :7].tolist()
        ((1, 1024), [55026, 55025, 55025, 55025, 0, 10025, 11060])
    """
    columns = [np.empty((0, 4), np.int64), *(part for ids in pieces for part in (_ANNOUNCED, _items(np.asarray(ids))))]
    items = np.concatenate(columns)
    # END takes the flag of the piece that it announces
    items[:-1][items[:-1, 1] == END, 3] = items[1:][items[:-1, 1] == END, 3]
    count = len(items) // TRIPLETS_IN_ROW
    time, note, duration, flag = items[: count * TRIPLETS_IN_ROW].T.reshape(4, count, TRIPLETS_IN_ROW)
    is_end = note == END
    in_first_piece = np.cumsum(is_end, axis=1) == 0
    least = np.where(in_first_piece, time, _LATE).min(axis=1, initial=_LATE)
    time = time - np.where(in_first_piece, least[:, None], 0)
    rows = np.empty((count, 1 + 3 * TRIPLETS_IN_ROW), np.int32)
    rows[:, 0] = flag[:, 0]
    rows[:, 1::3] = np.where(is_end, END, time + np.where(note >= ANOTE, CONTROL, 0))
    rows[:, 2::3], rows[:, 3::3] = duration, note
    return rows[(time < STEPS_IN_WINDOW).all(axis=1)]


def _items(ids: np.ndarray) -> np.ndarray:
    """Return time from the beginning of the piece, note id, duration id and flag of each triplet, int64 (E, 4)."""
    is_flag = (ids == AUTOREGRESS) | (ids == ANTICIPATE)
    time, duration, note = ids[~is_flag].astype(np.int64).reshape(-1, 3).T
    window = np.cumsum(is_flag)[~is_flag][::3] - 1
    time = time - np.where(note >= ANOTE, CONTROL, 0) + window * STEPS_IN_WINDOW
    return np.stack([time, note, duration, np.full(len(time), ids[0] if len(ids) else AUTOREGRESS)], axis=1)
