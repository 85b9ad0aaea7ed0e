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
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
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
        self._waiting.append((ids[np.repeat(longer, length)].astype(np.int32), length[longer]))
        self._num_waiting += len(self._waiting[-1][0])
        if self._num_waiting >= _MOST_PENDING:
            self._settle()

    def words(self) -> Words:
        """Return the words so far, in the order in which they first came."""
        self._settle()
        table = self._table
        return Words(table.ids, table.length, table.count)

    def _settle(self) -> None:
        """Count what waits, and thin what has become too much."""
        if not self._num_waiting:
            return
        ids = np.concatenate([one for one, _ in self._waiting])
        length = np.concatenate([one for _, one in self._waiting])
        self._waiting, self._num_waiting = [], 0
        self._table = self._table.with_words(ids, length)
        while len(self._table.ids) > self._most_ids:
            self._times_thinned += 1
            self._table = self._table.thinned(self.threshold, salt=self._times_thinned)
            if len(self._table.ids) > self._most_ids // 2:
                self.threshold *= 2


class _Table(NamedTuple):
    """Words in the order in which they first came."""

    hash: np.ndarray
    ids: np.ndarray
    length: np.ndarray
    count: np.ndarray

    @classmethod
    def empty(cls) -> "_Table":
        return cls(np.zeros(0, np.uint64), np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64))

    def with_words(self, ids: np.ndarray, length: np.ndarray) -> "_Table":
        """Return the table with more words, each counted once."""
        if not len(length):
            return self
        hash_, first, count = np.unique(_hash(ids, length), return_index=True, return_counts=True)
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
            np.concatenate([self.ids, ids[np.repeat(new, length)]]),
            np.concatenate([self.length, length[new]]),
            np.concatenate([self.count, count[~known][came]]),
        )

    def thinned(self, threshold: int, *, salt: int) -> "_Table":
        """Return the table without some of the words that came less often than ``threshold``."""
        chance = (_mixed(self.hash + _mixed(np.uint64(salt))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        kept = chance * threshold < self.count
        return _Table(
            self.hash[kept],
            self.ids[np.repeat(kept, self.length)],
            self.length[kept],
            np.maximum(self.count[kept], threshold),
        )


def _hash(ids: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return a hash of 64 bits for each word, none of them empty: a sum of products of what stands where."""
    starts = np.cumsum(length) - length
    place = np.arange(len(ids)) - np.repeat(starts, length)
    of_place = _mixed(np.arange(length.max(), dtype=np.uint64)) | np.uint64(1)
    of_id = _mixed(np.arange(int(ids.max()) + 1, dtype=np.uint64) + np.uint64(1 << 32))
    scattered = of_place[place]
    scattered *= of_id[ids]
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
