"""N-gram language models: the baselines that a neural model has to beat on the same tokens.

Interpolated modified Kneser–Ney smoothing, exact and normalised over the whole vocabulary.

A piece is scored as ``[start] + ids + [end]``, start and end being one id; the ids and the end are targets,
the start is a context only. Contexts never reach across pieces: near the start of a piece they are short.

A k-gram is stored as one int64, ``rank of its first k-1 ids * vocab_size + last id``, so that any
vocabulary and any order fit; a table of k-grams is a sorted array and a lookup is ``searchsorted``.

Source: Chen and Goodman, "An empirical study of smoothing techniques for language modeling" (1998),
equations 21 to 28; the counts of k-grams that begin a piece are raw, as in Heafield et al., "Scalable
modified Kneser-Ney language model estimation" (ACL 2013). Where a table is too small for its discounts
to be estimated they are 0.5, 1 and 1.5, as there.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class _Level:
    """The k-grams of one length: what each adds, and what each context hands to the level below."""

    key: np.ndarray  # (G,) int64, sorted
    discounted: np.ndarray  # (G,) float64, adjusted count less its discount
    total: np.ndarray  # (C,) float64, sum of adjusted counts by context; 0 where the context was never seen
    handed_down: np.ndarray  # (C,) float64, sum of discounts by context


class NGram:
    """A Kneser–Ney language model over ids; build it with ``NGram.fit``."""

    def __init__(self, levels: list[_Level], *, vocab_size: int, end_id: int):
        self.vocab_size = vocab_size
        self.end_id = end_id
        self._levels = levels

    @classmethod
    def fit(cls, pieces: Iterable[np.ndarray], *, order: int, vocab_size: int, end_id: int) -> "NGram":
        """Count and smooth.

        Args:
            pieces: the ids of each piece, 1-D integers, without start and end.
            order: ids in the longest n-gram; 2 is a bigram model.
            vocab_size: number of ids; all of them get a probability.
            end_id: the id that ends a piece and, as a context, begins one.

        Raises:
            ValueError: no piece, an order below 1, or an id outside the vocabulary.

        Example:
            >>> model = NGram.fit([np.array([1, 2, 1, 2])], order=2, vocab_size=4, end_id=0)
            >>> model.nats(np.array([1, 2])).shape
            (3,)
        """
        if order < 1:
            raise ValueError(f"order = {order}: expected at least 1")
        stream, age = _lay_out(pieces, vocab_size, end_id)
        rank, keys, counts, suffixes = stream, [], [], []
        for length in range(1, order + 1):
            where = np.flatnonzero(age >= max(1, length - 1))
            if not len(where):  # no piece is that long: a longer context can never be known
                break
            key = stream[where] if length == 1 else rank[where - 1] * vocab_size + stream[where]
            unique, inverse, count, example = _unique(key)
            keys.append(unique)
            counts.append(count)
            suffixes.append(rank[where[example]])
            # k = 1 keeps ids as ranks, so that the start, which is never a target, has one too
            if length > 1:
                rank = np.zeros_like(stream)
                rank[where] = inverse
        return cls(_smooth(keys, counts, suffixes, vocab_size), vocab_size=vocab_size, end_id=end_id)

    def nats(self, ids: np.ndarray) -> np.ndarray:
        """Return the loss of each target of a piece.

        Args:
            ids: (T,) the ids of a piece, without start and end.

        Returns:
            (T + 1,) float64, minus the natural logarithm of the probability of each id and of the end.

        Raises:
            ValueError: an id is outside the vocabulary.
        """
        stream, _ = _lay_out([ids], self.vocab_size, self.end_id)
        probability = np.full(len(stream), 1.0 / self.vocab_size)
        context = np.zeros_like(stream)
        for k, level in enumerate(self._levels):
            place, known = self._find(level, context, stream)
            probability = _mix(level, context, place, known, probability)
            context = _shift(stream if k == 0 else np.where(known, place, -1))
        return -np.log(probability[1:])

    def probabilities(self, context: np.ndarray) -> np.ndarray:
        """Return the probability of every id after the ids of a piece so far, (V,) float64, summing to 1.

        Raises:
            ValueError: an id is outside the vocabulary.
        """
        stream, _ = _lay_out([context], self.vocab_size, self.end_id)
        stream = stream[:-1]
        every = np.arange(self.vocab_size)
        probability = np.full(self.vocab_size, 1.0 / self.vocab_size)
        before, after = np.zeros_like(stream), np.zeros_like(every)
        for k, level in enumerate(self._levels):
            probability = _mix(level, after, *self._find(level, after, every), probability)
            place, known = self._find(level, before, stream)
            rank = stream if k == 0 else np.where(known, place, -1)
            before, after = _shift(rank), np.full(self.vocab_size, rank[-1])
        return probability

    def _find(self, level: _Level, context: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the row of each n-gram in its table, and whether it is there."""
        key = context * self.vocab_size + ids
        place = np.minimum(np.searchsorted(level.key, key), len(level.key) - 1)
        return place, (context >= 0) & (level.key[place] == key)


def _mix(
    level: _Level, context: np.ndarray, place: np.ndarray, known: np.ndarray, probability: np.ndarray
) -> np.ndarray:
    """Interpolate what a level says with the probabilities of the levels below; a context of -1 is unknown."""
    total = np.where(context >= 0, level.total[context], 0.0)
    # a known context that nothing followed says nothing: the shorter one stands as it is
    says = total > 0
    mixed = np.where(known, level.discounted[place], 0.0) + level.handed_down[context] * probability
    return np.where(says, mixed / np.where(says, total, 1.0), probability)


def _lay_out(pieces: Iterable[np.ndarray], vocab_size: int, end_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Lay pieces end to end as start, ids, end; return the ids and each one's distance from its start."""
    edge = np.array([end_id], np.int64)
    parts = [np.concatenate([edge, np.asarray(ids, np.int64).ravel(), edge]) for ids in pieces]
    if not parts:
        raise ValueError("no pieces: expected at least one array of ids")
    stream = np.concatenate(parts)
    if stream.min() < 0 or stream.max() >= vocab_size:
        raise ValueError(f"ids from {stream.min()} to {stream.max()}: expected 0 to {vocab_size - 1}")
    lengths = np.array([len(part) for part in parts])
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return stream, np.arange(len(stream)) - starts


def _shift(rank: np.ndarray) -> np.ndarray:
    return np.concatenate([[-1], rank[:-1]])


def _unique(key: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the sorted distinct keys, each key's row among them, their counts, and one place of each."""
    order = np.argsort(key)
    ordered = key[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(np.concatenate([first, [len(key)]]))
    inverse = np.empty(len(key), np.int64)
    inverse[order] = np.repeat(np.arange(len(first)), counts)
    return ordered[first], inverse, counts, order[first]


def _smooth(
    keys: list[np.ndarray], counts: list[np.ndarray], suffixes: list[np.ndarray], vocab_size: int
) -> list[_Level]:
    levels = []
    for k, (key, count) in enumerate(zip(keys, counts, strict=True)):
        adjusted = count
        if k + 1 < len(keys):
            adjusted = _adjust(key, count, suffixes[k + 1], by_id=k == 0)
        context = key // vocab_size if k else np.zeros_like(key)
        num_contexts = 1 if k == 0 else vocab_size if k == 1 else len(keys[k - 1])
        discount = _discounts(adjusted)[np.minimum(adjusted, 3)]
        levels.append(
            _Level(
                key,
                adjusted - discount,
                np.bincount(context, adjusted, num_contexts),
                np.bincount(context, discount, num_contexts),
            )
        )
    return levels


def _adjust(key: np.ndarray, count: np.ndarray, suffix: np.ndarray, *, by_id: bool) -> np.ndarray:
    """Replace counts by the number of distinct ids that come before; what begins a piece keeps its count."""
    if by_id:
        preceded = np.bincount(suffix, minlength=int(key[-1]) + 1)[key]
    else:
        preceded = np.bincount(suffix, minlength=len(key))
    return np.where(preceded > 0, preceded, count)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """Return what is taken from counts 0, 1, 2 and 3 or more: Chen and Goodman (1998), equation 26."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == c)) for c in (1, 2, 3, 4))
    if min(n1, n2, n3, n4) > 0:
        y = n1 / (n1 + 2 * n2)
        estimated = [0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
        if all(0 <= value <= c and math.isfinite(value) for c, value in enumerate(estimated)):
            return np.array(estimated)
    return np.array([0.0, 0.5, 1.0, 1.5])
