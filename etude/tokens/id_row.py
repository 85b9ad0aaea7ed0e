"""Ids as they come from anywhere, made sure to be one row of a vocabulary's."""

from collections.abc import Sequence

import numpy as np

from etude.errors import TokenError


def checked_row(ids: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
    """Return ids as int64 (T,).

    Args:
        ids: one row.
        size: how many ids the vocabulary has.

    Raises:
        TokenError: not one row of whole numbers below ``size``.

    Example:
        >>> checked_row([3, 1], 390)
        array([3, 1])
    """
    row = np.asarray(ids)
    if row.ndim == 1 and not row.size:
        return np.empty(0, np.int64)
    if row.ndim != 1 or row.dtype.kind not in "iu":
        raise TokenError(f"ids: expected one row of whole numbers, got {row.dtype} of shape {row.shape}")
    if row.min() < 0 or row.max() >= size:
        place = int(((row < 0) | (row >= size)).argmax())
        raise TokenError(f"ids[{place}] = {row[place]}: expected 0..{size - 1}; ids need the tokenizer that made them")
    return row.astype(np.int64)
