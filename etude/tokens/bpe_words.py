"""Different words of a stream of ids, counted in bounded memory.

A word is a run of ids over which no merge reaches. Words are known by a hash of 64 bits and kept once, with how
often they came. When the ids that are kept would become too many, rare words are thinned: a word that came
c < t times stays with chance c / t and then counts t times, so that the expected count of every word, and of
every pair of ids, is its true count. Chance is a hash of the word, so the same stream gives the same words.
Legend: T ids, W words.
"""

from typing import NamedTuple

import numpy as np

_MOST_PENDING = 1 << 20
"""Ids that wait, at least, until they are counted together."""


class Words(NamedTuple):
    """Different words and their counts.

    Attributes:
        ids: the words end to end, int32 (T,).
        length: ids of each word, int64 (W,).
        count: how often each came; int64 (W,).
    """

    ids: np.ndarray
    length: np.ndarray
    count: np.ndarray


class WordCounts:
    """Counts words, see the module's header.

    Args:
        most_ids: ids kept before rare words are thinned; counting them and learning from them takes at most about
            60 bytes for each.

    Example:
        >>> counts = WordCounts()
        >>> counts.add(np.array([5, 6, 5, 6, 7, 5, 6]), np.array([0, 2, 5]))
        >>> words = counts.words()
        >>> sorted(zip(words.length.tolist(), words.count.tolist()))
        [(2, 2), (3, 1)]
    """

    def __init__(self, most_ids: int = 10_000_000) -> None:
        self.threshold = 1
        """The count t below which words have been thinned; 1 while all of them are kept."""
        self._most_ids = most_ids
        self._table = _Table.empty()
        self._hash = _Hash()
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._num_waiting = 0
        self._times_thinned = 0

    def add(self, ids: np.ndarray, starts: np.ndarray) -> None:
        """Count the words of a piece.

        Args:
            ids: int (T,).
            starts: where its words begin, ascending from 0.
        """
        length = np.diff(starts, append=len(ids))
        # nothing can be merged in a word of one id
        longer = length > 1
        kept, length = ids[np.repeat(longer, length)].astype(np.int32), length[longer]
        if not len(kept):
            return
        self._waiting.append((kept, length, self._hash.of(kept, length)))
        self._num_waiting += len(kept)
        if self._num_waiting >= _MOST_PENDING:
            self._settle()

    def words(self) -> Words:
        """Return the words so far, in the order in which they first came."""
        self._settle()
        self._table = self._table.in_one_block()
        return Words(self._table.ids[0], self._table.length, self._table.count)

    def _settle(self) -> None:
        """Count what waits, and thin what has become too much."""
        if not self._num_waiting:
            return
        ids, length, hash_ = (np.concatenate(column) for column in zip(*self._waiting, strict=True))
        self._waiting, self._num_waiting = [], 0
        self._table = self._table.with_words(ids, length, hash_)
        while self._table.num_ids > self._most_ids:
            self._times_thinned += 1
            self._table = self._table.in_one_block().thinned(self.threshold, salt=self._times_thinned)
            if self._table.num_ids > self._most_ids // 2:
                self.threshold *= 2


class _Table(NamedTuple):
    """Words in the order in which they first came; their ids in blocks, so that more can come without a copy."""

    hash: np.ndarray
    ids: tuple[np.ndarray, ...]
    length: np.ndarray
    count: np.ndarray

    @classmethod
    def empty(cls) -> "_Table":
        return cls(np.zeros(0, np.uint64), (), np.zeros(0, np.int64), np.zeros(0, np.int64))

    @property
    def num_ids(self) -> int:
        return sum(map(len, self.ids))

    def in_one_block(self) -> "_Table":
        """Return the same words with all ids in one array."""
        return self._replace(ids=(np.concatenate((np.zeros(0, np.int32), *self.ids)),))

    def with_words(self, ids: np.ndarray, length: np.ndarray, hash_: np.ndarray) -> "_Table":
        """Return the table with more words, each counted once."""
        hash_, first, count = np.unique(hash_, return_index=True, return_counts=True)
        order = np.argsort(self.hash)
        place = np.searchsorted(self.hash, hash_, sorter=order)
        known = np.zeros(len(hash_), bool)
        inside = place < len(order)
        known[inside] = self.hash[order[place[inside]]] == hash_[inside]
        self.count[order[place[known]]] += count[known]
        new = np.zeros(len(length), bool)
        new[first[~known]] = True
        came = np.argsort(first[~known])
        return _Table(
            np.concatenate([self.hash, hash_[~known][came]]),
            (*self.ids, ids[np.repeat(new, length)]),
            np.concatenate([self.length, length[new]]),
            np.concatenate([self.count, count[~known][came]]),
        )

    def thinned(self, threshold: int, *, salt: int) -> "_Table":
        """Return the table, of one block, without some of the words that came less often than ``threshold``."""
        chance = (_mixed(self.hash + _mixed(np.uint64(salt))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        kept = chance * threshold < self.count
        return _Table(
            self.hash[kept],
            (self.ids[0][np.repeat(kept, self.length)],),
            self.length[kept],
            np.maximum(self.count[kept], threshold),
        )


class _Hash:
    """A hash of 64 bits for each word: a sum of products of what stands where."""

    def __init__(self) -> None:
        self._of_place = self._of_id = np.zeros(0, np.uint64)

    def of(self, ids: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Return the hash of each word, none of them empty; uint64.

        Args:
            ids: of the words end to end, at least one.
            length: of each word.
        """
        starts = np.cumsum(length) - length
        place = np.arange(len(ids)) - np.repeat(starts, length)
        longest, highest = int(length.max()), int(ids.max())
        if longest > len(self._of_place):
            self._of_place = _mixed(np.arange(2 * longest, dtype=np.uint64)) | np.uint64(1)
        if highest >= len(self._of_id):
            self._of_id = _mixed(np.arange(2 * highest + 1, dtype=np.uint64) + np.uint64(1 << 32))
        scattered = self._of_place[place]
        scattered *= self._of_id[ids]
        # words of other lengths are other words, whatever they add up to
        return _mixed(np.add.reduceat(scattered, starts) ^ _mixed(length.astype(np.uint64)))


def _mixed(value: np.ndarray) -> np.ndarray:
    """Return whole numbers of 64 bits scattered over all of them.

    Source:
        Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators": the last steps of SplitMix64.
    """
    with np.errstate(over="ignore"):
        value = value + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
