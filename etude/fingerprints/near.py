"""Pairs of pieces that are the same music, found by the n-grams that their sketches share.

Two pieces are joined if enough of what they share is in one transposition and comes in one order in both. An
excerpt is found in its whole as long as the sketch of the whole still holds a few n-grams of it: from about a
twelfth of the piece on.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from etude.fingerprints.line_ngrams import mixed
from etude.fingerprints.settings import NearSettings
from etude.fingerprints.shared import HASHES_AT_ONCE, Batches, Shared, Sizes, parts_of_key, shared_ngrams, sizes_of

COUNTED_AT_ONCE = 1 << 20
JUDGED_AT_ONCE = 1 << 22
"""How many shared n-grams are held, about, 24 bytes each, while they are counted and while pairs are judged."""

_SLOTS_A_HASH = 4


class Pairs(NamedTuple):
    """Pairs of pieces by their rows, rising, ``a`` before ``b``.

    Attributes:
        a, b: rows of the table of sketches, int32 (N,).
        similarity: share of the smaller sketch that the other holds, float32 (N,), up to 1.
        semitones: from ``a`` up to ``b``, int8 (N,); 0 for drums.
    """

    a: np.ndarray
    b: np.ndarray
    similarity: np.ndarray
    semitones: np.ndarray


def near_pairs(batches: Batches | pa.Table | pa.RecordBatch, *, settings: NearSettings | None = None) -> Pairs:
    """Return the pairs of pieces that are the same music, in time and memory linear in the pieces.

    Of many copies of one piece not all pairs are returned, but enough to connect them.

    Args:
        batches: sketches as columns named in ``SKETCH_FIELDS``: a table, or a function that begins to read it anew
            whenever it is called. Other columns do not matter.
        settings: when two pieces count as the same.

    Example:
        >>> from etude.fingerprints.sketches import sketch, sketches_to_arrow
        >>> from etude.music.score import Score
        >>> pitch = [60 + step * step % 23 for step in range(0, 999, 7)]
        >>> low, high = (Score.of(range(143), [1] * 143, [p + up for p in pitch], ppq=2) for up in (0, 3))
        >>> near_pairs(sketches_to_arrow([sketch(low), sketch(high)])).semitones
        array([3], dtype=int8)
    """
    settings = settings or NearSettings()
    read = _reader(batches)
    sizes = sizes_of(read)
    num_hashes = int(sizes.counts[:, 0].sum(dtype=np.int64))
    how = {"num_passes": 1 + num_hashes // HASHES_AT_ONCE, "num_neighbours": settings.num_neighbours}
    crowds = _count_crowds(shared_ngrams(read, **how), num_slots=_SLOTS_A_HASH * num_hashes + 1)
    is_crowded = crowds >= settings.min_places
    num_blocks = 1 + int(crowds[is_crowded].sum(dtype=np.int64)) // JUDGED_AT_ONCE
    del crowds
    found = []
    for block in range(num_blocks):
        kept = [_only_crowded(part, is_crowded, block, num_blocks) for part in shared_ngrams(read, **how)]
        found.append(_judge(_sorted(kept), sizes, settings))
    return _best_of_each(found)


def _reader(batches: Batches | pa.Table | pa.RecordBatch) -> Batches:
    if isinstance(batches, pa.RecordBatch):
        batches = pa.Table.from_batches([batches])
    return (lambda: iter(batches.to_batches())) if isinstance(batches, pa.Table) else batches


def _count_crowds(parts: Iterator[Shared], *, num_slots: int) -> np.ndarray:
    """Count what is shared under keys of equal slots, 255 being the most, uint8 (slots,).

    Nearly all pieces that share something share one or two n-grams, so slots say which keys are worth a closer look
    in a byte each, and keys that meet in one slot do no harm.
    """
    crowds = np.zeros(num_slots, np.uint8)
    waiting: list[np.ndarray] = []
    for part in chain(parts, (None,)):
        if part is not None:
            waiting.append(_slots(part.key, num_slots))
        if waiting and (part is None or sum(map(len, waiting)) >= COUNTED_AT_ONCE):
            slot, count = np.unique(np.concatenate(waiting), return_counts=True)
            crowds[slot] = np.minimum(crowds[slot] + count, 255)
            waiting = []
    return crowds


def _slots(key: np.ndarray, num_slots: int) -> np.ndarray:
    return (mixed(key.view(np.uint64)) % np.uint64(num_slots)).view(np.int64)


def _only_crowded(part: Shared, is_crowded: np.ndarray, block: int, num_blocks: int) -> Shared:
    """Return what is shared under keys of crowded slots, one of several blocks of these."""
    slot = _slots(part.key, len(is_crowded))
    rows = np.flatnonzero(is_crowded[slot] & (slot % num_blocks == block))
    return Shared(*(column[rows] for column in part))


def _sorted(parts: list[Shared]) -> Shared:
    """Lay parts end to end, by key, then by place in the first piece, then in the second."""
    none = Shared(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))
    shared = Shared(*(np.concatenate(column) for column in zip(none, *parts, strict=True)))
    order = np.lexsort((shared.place_b, shared.place_a, shared.key))
    return Shared(*(column[order] for column in shared))


def _judge(shared: Shared, sizes: Sizes, settings: NearSettings) -> Pairs:
    """Return the pairs that share enough, in each of their transpositions."""
    key, begin, count = np.unique(shared.key, return_index=True, return_counts=True)
    a, b, semitones = parts_of_key(key)
    level = np.maximum(sizes.level[a], sizes.level[b])
    smaller = np.minimum(sizes.counts[a, level], sizes.counts[b, level])
    num_ngrams, num_places = np.zeros((2, len(key)), np.int64)
    for row in np.flatnonzero(_is_enough(count, count, smaller, level, settings)).tolist():
        of_row = slice(begin[row], begin[row] + count[row])
        num_ngrams[row], num_places[row] = _longest_chain(shared.place_a[of_row], shared.place_b[of_row])
    rows = np.flatnonzero(_is_enough(num_ngrams, num_places, smaller, level, settings))
    return Pairs(
        a[rows].astype(np.int32),
        b[rows].astype(np.int32),
        (num_ngrams[rows] / smaller[rows]).astype(np.float32),
        semitones[rows].astype(np.int8),
    )


def _is_enough(
    num_ngrams: np.ndarray, num_places: np.ndarray, smaller: np.ndarray, level: np.ndarray, settings: NearSettings
) -> np.ndarray:
    """Tell whether pairs share enough, given the n-grams of the smaller sketch at the level of comparison."""
    similarity = num_ngrams / smaller
    return (
        (num_places >= np.where(level == 0, settings.min_places_complete, settings.min_places))
        & (similarity >= settings.min_similarity)
        & (num_places * similarity >= settings.min_evidence)
    )


def _longest_chain(place_a: np.ndarray, place_b: np.ndarray) -> tuple[int, int]:
    """Return how many n-grams come in one order in both pieces, and at how many different places."""
    ngrams: list[int] = []
    for place in place_b.tolist():
        at = bisect_right(ngrams, place)
        ngrams[at : at + 1] = [place]
    places: list[int] = []
    # of n-grams at one place the latest comes first, so that the chain can take one of them only
    for place in place_b[np.lexsort((-place_b, place_a))].tolist():
        at = bisect_left(places, place)
        places[at : at + 1] = [place]
    return len(ngrams), len(places)


def _best_of_each(found: list[Pairs]) -> Pairs:
    """Return each pair once, with the transposition in which it shares most."""
    none = Pairs(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int8))
    every = Pairs(*(np.concatenate(column) for column in zip(none, *found, strict=True)))
    order = np.lexsort((every.semitones, np.abs(every.semitones), -every.similarity, every.b, every.a))
    every = Pairs(*(column[order] for column in every))
    is_first = np.ones(len(order), bool)
    is_first[1:] = (every.a[1:] != every.a[:-1]) | (every.b[1:] != every.b[:-1])
    return Pairs(*(column[is_first] for column in every))
