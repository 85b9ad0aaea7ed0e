"""Sketches: a bounded sample of a piece's n-grams that can be compared with the sample of any other piece.

A sketch of level L holds every different n-gram whose hash is below 2^64 / 2^L, at most ``MAX_HASHES`` of them, L
being the lowest level that fits. Two sketches are compared at the higher of their levels, where both are complete:
so an excerpt and its whole, which has another level, still show which part they share.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from etude.fingerprints.note_ngrams import ngrams
from etude.music.score import Score

MAX_HASHES = 128
"""The most n-grams of a sketch; 13 bytes each."""

MAX_LEVEL = 24
"""The coarsest level; a piece of a billion n-grams would need a coarser one."""

SKETCH_FIELDS = [
    pa.field("sketch_level", pa.int8(), nullable=False),
    pa.field("sketch_hash", pa.list_(pa.uint64()), nullable=False),
    pa.field("sketch_place", pa.list_(pa.int32()), nullable=False),
    pa.field("sketch_pitch", pa.list_(pa.uint8()), nullable=False),
]
"""The columns of sketches in a table."""


class Sketch(NamedTuple):
    """A sample of the n-grams of a piece, rows by hash.

    Attributes:
        level: all hashes are below 2^64 / 2^level, 0 to ``MAX_LEVEL``.
        hash: different n-grams, uint64 (N,), rising.
        place: where each occurs first, int32 (N,) [ms].
        pitch: of its first note there, uint8 (N,).
    """

    level: int
    hash: np.ndarray
    place: np.ndarray
    pitch: np.ndarray


def sketch(score: Score) -> Sketch:
    """Return the sketch of a piece; that of a piece too short for one n-gram is empty.

    Example:
        >>> sketch(Score.of([0, 480], [480, 480], [60, 64])).hash
        array([], dtype=uint64)
    """
    every = ngrams(score)
    level = _lowest_level(every.hash)
    rows = np.flatnonzero(every.hash < limit_of(level)) if level else np.arange(len(every.hash))
    # by hash; among equal ones the first to sound
    rows = rows[np.lexsort((every.place[rows], every.hash[rows]))]
    is_first = np.ones(len(rows), bool)
    np.not_equal(every.hash[rows[1:]], every.hash[rows[:-1]], out=is_first[1:])
    rows = rows[is_first][:MAX_HASHES]
    return Sketch(level, every.hash[rows], every.place[rows], every.pitch[rows])


def limit_of(level: int) -> np.uint64:
    """Return what every hash of a level from 1 is below."""
    return np.uint64(1) << np.uint64(64 - level)


def _lowest_level(hashes: np.ndarray) -> int:
    """Return the lowest level that at most ``MAX_HASHES`` different ones of some hashes belong to."""
    hashes = np.sort(hashes)
    is_first = np.ones(len(hashes), bool)
    np.not_equal(hashes[1:], hashes[:-1], out=is_first[1:])
    different = hashes[is_first]
    if len(different) <= MAX_HASHES:
        return 0
    # the first hash too many has to be left out
    return min(65 - int(different[MAX_HASHES]).bit_length(), MAX_LEVEL)


def sketches_to_arrow(sketches: Sequence[Sketch]) -> pa.RecordBatch:
    """Return sketches as rows with the columns of ``SKETCH_FIELDS``."""
    lengths = [len(one.hash) for one in sketches]
    offsets = pa.array(np.cumsum([0, *lengths]).astype(np.int32))

    def column(name: str, dtype: type) -> pa.Array:
        values = [getattr(one, name) for one in sketches]
        return pa.ListArray.from_arrays(offsets, pa.array(np.concatenate([*values, np.empty(0, dtype)]).astype(dtype)))

    arrays = [
        pa.array([one.level for one in sketches], pa.int8()),
        column("hash", np.uint64),
        column("place", np.int32),
        column("pitch", np.uint8),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(SKETCH_FIELDS))
