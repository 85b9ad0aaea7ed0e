"""Merging the ids of a piece as merges were learned, in numpy passes over all its words at once.

In every word the pair that was learned first is merged, then the first of what is there now, until no word has a
pair that was learned. A round does this in all words, so the rounds are as many as the different merges of the
word that has most. Words are cut beforehand where no merged id has these two ids side by side: nothing that is
merged on one side has to do with the other. Legend: T ids, W words.
"""

from collections.abc import Sequence

import numpy as np

from etude.tokens.bpe_learn import every_other

_NEVER, _LAST = 1 << 30, (1 << 30) + 1
"""Ranks of pairs that nothing merges, and of the last id of a word."""

_EMPTY = -1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Merger:
    """Learned merges, ready to be done.

    Args:
        merges: pairs of ids in the order in which they were learned; the k-th makes ``vocab_size + k``.
        vocab_size: ids there are without merges.

    Example:
        >>> merger = Merger([(0, 1), (3, 2)], vocab_size=3)
        >>> merger.merge(np.array([0, 1, 2, 0, 1, 1]), np.array([0, 3]))
        array([4, 3, 1], dtype=int32)
    """

    def __init__(self, merges: Sequence[tuple[int, int]], vocab_size: int) -> None:
        self._vocab_size = vocab_size
        self._num_ids = vocab_size + len(merges)
        pairs = np.array(merges, np.int64).reshape(-1, 2)
        key = pairs[:, 0] * self._num_ids + pairs[:, 1]
        self._merges = _Ranks(key, np.arange(len(merges)), unknown=_NEVER)
        first, last = np.arange(self._num_ids), np.arange(self._num_ids)
        for new, (left, right) in enumerate(merges, vocab_size):
            first[new], last[new] = first[left], last[right]
        touching = last[pairs[:, 0]] * self._num_ids + first[pairs[:, 1]]
        touching = np.setdiff1d(touching, key)
        self._beginnings = _Ranks(
            np.concatenate([key, touching]),
            np.concatenate([np.arange(len(merges)), np.full(len(touching), _NEVER)]),
            unknown=_LAST,
        )

    def merge(self, ids: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return ids with all merges done.

        Args:
            ids: int (T,).
            starts: where words begin, ascending from 0; no merge reaches over them.

        Returns:
            int32, at most T.
        """
        token = ids.astype(np.int32)
        if len(ids) < 2:
            return token
        stays = np.ones(len(ids), bool)
        # of what is not settled yet: where each id stands, the rank of it with the next, how many in each word
        place = np.arange(len(ids), dtype=np.int32)
        rank = np.empty(len(ids), np.int32)
        rank[:-1] = self._ranks(self._beginnings, token[:-1], token[1:])
        rank[starts[1:] - 1] = rank[-1] = _LAST
        length = np.diff((rank == _LAST).nonzero()[0], prepend=-1)
        while True:
            starts = length.cumsum() - length
            lowest = np.minimum.reduceat(rank, starts)
            unsettled = lowest < _NEVER
            if not unsettled.all():
                kept = unsettled.repeat(length)
                place, rank, length, lowest = place[kept], rank[kept], length[unsettled], lowest[unsettled]
                if not len(place):
                    return token[stays]
            lefts = (rank == lowest.repeat(length)).nonzero()[0]
            if (lefts[1:] - lefts[:-1] == 1).any():
                lefts = every_other(lefts, 1)
            gone = np.zeros(len(place), bool)
            gone[lefts + 1] = True
            length -= np.add.reduceat(gone, length.cumsum() - length, dtype=np.int64)
            place, rank = self._join(token, stays, place, rank, lefts, ~gone)

    def _join(
        self,
        token: np.ndarray,
        stays: np.ndarray,
        place: np.ndarray,
        rank: np.ndarray,
        lefts: np.ndarray,
        kept: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Merge each of ``lefts`` with what follows it; return places and ranks of what is left."""
        new, after = rank[lefts], rank[lefts + 1]
        token[place[lefts]] = new + self._vocab_size
        stays[place[lefts + 1]] = False
        place, rank = place[kept], rank[kept]
        # each moved to the left by those that went before it
        lefts = lefts - np.arange(len(lefts))
        rank[lefts] = after
        before = lefts - 1
        before = before[(before >= 0) & (rank[before] != _LAST)]
        changed = np.concatenate([before, lefts[after != _LAST]])
        rank[changed] = self._ranks(self._merges, token[place[changed]], token[place[changed + 1]])
        return place, rank

    def _ranks(self, ranks: "_Ranks", left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return ranks.of(left * np.int64(self._num_ids) + right)


class _Ranks:
    """Ranks of keys, in a table of hashes: a key stands at its hash or, if others took it, in a place after it."""

    def __init__(self, key: np.ndarray, rank: np.ndarray, *, unknown: int) -> None:
        # mostly empty, so that few keys have to be looked for twice
        bits = max(10, (8 * len(key)).bit_length())
        self._shift, self._mask = np.uint64(64 - bits), (1 << bits) - 1
        self._key = np.full(1 << bits, _EMPTY, np.int64)
        self._rank = np.full(1 << bits, unknown, np.int32)
        left, place = np.arange(len(key)), self._hash(key)
        while len(left):
            first = np.unique(place, return_index=True)[1]
            fits = first[self._key[place[first]] == _EMPTY]
            self._key[place[fits]], self._rank[place[fits]] = key[left[fits]], rank[left[fits]]
            others = np.delete(np.arange(len(left)), fits)
            left, place = left[others], (place[others] + 1) & self._mask

    def of(self, key: np.ndarray) -> np.ndarray:
        """Return the rank of each key, int32."""
        place = self._hash(key)
        there, rank = self._key[place], self._rank[place]
        missed = ((there != key) & (there != _EMPTY)).nonzero()[0]
        while len(missed):
            place[missed] = (place[missed] + 1) & self._mask
            there, rank[missed] = self._key[place[missed]], self._rank[place[missed]]
            missed = missed[(there != key[missed]) & (there != _EMPTY)]
        return rank

    def _hash(self, key: np.ndarray) -> np.ndarray:
        """Return places of keys: the highest bits of a product (Knuth, "The Art of Computer Programming", 6.4)."""
        return ((key.view(np.uint64) * _GOLDEN) >> self._shift).view(np.int64)
