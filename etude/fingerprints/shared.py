"""Which n-grams pieces share: a join of sketches with themselves, in bounded memory.

The sketches are read in passes. Each pass takes one part of all hashes, sorts it and compares every row with the
few that come next under the same hash. Copies of one piece so form a chain, and a commonplace that ten thousand
pieces have costs no more than ten thousand times a few comparisons.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from etude.fingerprints.sketches import MAX_LEVEL

Batches = Callable[[], Iterator[pa.RecordBatch]]
"""Begins to read the sketches anew whenever it is called."""

HASHES_AT_ONCE = 1 << 21
"""How many hashes a pass holds, about; 40 bytes each."""

_ROW_BITS, _TURN_BITS = 28, 8
_UP = 1 << _TURN_BITS - 1


class Sizes(NamedTuple):
    """How many n-grams the sketch of each piece holds.

    Attributes:
        level: int8 (rows,).
        counts: with hashes that belong to a level, uint8 (rows, levels).
    """

    level: np.ndarray
    counts: np.ndarray


class Shared(NamedTuple):
    """N-grams that two pieces share, a row each.

    Attributes:
        key: both pieces and the semitones between them, int64, see ``parts_of_key``.
        place_a, place_b: where in the one and in the other, int32 [ms].
    """

    key: np.ndarray
    place_a: np.ndarray
    place_b: np.ndarray


def parts_of_key(key: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of both pieces, the smaller first, and the semitones from the first up to the second."""
    return (
        key >> _ROW_BITS + _TURN_BITS,
        key >> _TURN_BITS & (1 << _ROW_BITS) - 1,
        (key & (1 << _TURN_BITS) - 1) - _UP,
    )


def sizes_of(batches: Batches) -> Sizes:
    """Return what every sketch holds, in one pass."""
    levels, counts = [np.empty(0, np.int8)], [np.empty((0, MAX_LEVEL + 1), np.uint8)]
    for batch in batches():
        row, hashes = _rows_of(batch), _values_of(batch, "sketch_hash")
        # a hash below 2^(64 - L) belongs to the levels up to L
        highest = np.minimum(64 - _bit_length(hashes), MAX_LEVEL)
        table = np.bincount(row * (MAX_LEVEL + 1) + highest, minlength=batch.num_rows * (MAX_LEVEL + 1))
        table = table.reshape(batch.num_rows, MAX_LEVEL + 1)
        counts.append(np.cumsum(table[:, ::-1], axis=1)[:, ::-1].astype(np.uint8))
        levels.append(batch.column("sketch_level").to_numpy())
    return Sizes(np.concatenate(levels), np.concatenate(counts))


def shared_ngrams(batches: Batches, *, num_passes: int, num_neighbours: int) -> Iterator[Shared]:
    """Yield what neighbours share, a part at a time, in an order that depends on the sketches alone."""
    for part in range(num_passes):
        hashes, row, place, pitch = _part_of(batches, part, num_passes)
        order = np.argsort(hashes, kind="stable")
        hashes, row, place, pitch = (column[order] for column in (hashes, row, place, pitch))
        for step in range(1, num_neighbours + 1):
            at = np.flatnonzero(hashes[step:] == hashes[:-step])
            if not len(at):
                break
            key = row[at].astype(np.int64) << _ROW_BITS | row[at + step]
            turn = pitch[at + step].astype(np.int64) - pitch[at] + _UP
            yield Shared(key << _TURN_BITS | turn, place[at], place[at + step])


def _part_of(batches: Batches, part: int, num_passes: int) -> tuple[np.ndarray, ...]:
    """Return hashes, rows, places and pitches of one part of all hashes."""
    columns = [(np.empty(0, np.uint64), np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.uint8))]
    begin = 0
    for batch in batches():
        hashes = _values_of(batch, "sketch_hash")
        inside = np.flatnonzero(hashes % np.uint64(num_passes) == part) if num_passes > 1 else slice(None)
        row = (_rows_of(batch)[inside] + begin).astype(np.int32)
        place, pitch = (_values_of(batch, name)[inside] for name in ("sketch_place", "sketch_pitch"))
        columns.append((hashes[inside], row, place, pitch))
        begin += batch.num_rows
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))


def _values_of(batch: pa.RecordBatch, name: str) -> np.ndarray:
    return batch.column(name).flatten().to_numpy()


def _rows_of(batch: pa.RecordBatch) -> np.ndarray:
    return np.repeat(np.arange(batch.num_rows), np.diff(batch.column("sketch_hash").offsets.to_numpy()))


def _bit_length(values: np.ndarray) -> np.ndarray:
    # in halves, because a float64 rounds 64 bits, and rounding up changes the length
    high = np.frexp((values >> np.uint64(32)).astype(np.float64))[1]
    low = np.frexp((values & np.uint64(0xFFFFFFFF)).astype(np.float64))[1]
    return np.where(high > 0, high + 32, low)
