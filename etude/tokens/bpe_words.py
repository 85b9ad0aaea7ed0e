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
        most_ids: ids kept before rare words are thinned; memory is about 60 bytes for each.

    Example:
        >>> counts = WordCounts()
        >>> counts.add(np.array([5, 6, 5, 6, 7, 5, 6]), np.array([0, 2, 5]))
        >>> words = counts.words()
        >>> sorted(zip(words.length.tolist(), words.count.tolist()))
        [(2, 2), (3, 1)]
    """

    def __init__(self, most_ids: int = 1 << 24) -> None:
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
        """Return the words so far, in an order that depends on the words alone."""
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
    """Words in order of their hashes."""

    hash: np.ndarray
    ids: np.ndarray
    length: np.ndarray
    count: np.ndarray

    @classmethod
    def empty(cls) -> "_Table":
        return cls(np.zeros(0, np.uint64), np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64))

    def with_words(self, ids: np.ndarray, length: np.ndarray) -> "_Table":
        """Return the table with more words, each counted once."""
        ends = np.cumsum(length)
        hashed = _hash(ids, ends - length, length)
        hash_, first, count = np.unique(hashed, return_index=True, return_counts=True)
        place = np.searchsorted(self.hash, hash_)
        known = np.zeros(len(hash_), bool)
        inside = place < len(self.hash)
        known[inside] = self.hash[place[inside]] == hash_[inside]
        self.count[place[known]] += count[known]
        new = first[~known]
        if not len(new):
            return self
        ids = _taken(ids, ends - length, length, new)
        return self.joined(_Table(hash_[~known], ids, length[new], count[~known].astype(np.int64)))

    def joined(self, other: "_Table") -> "_Table":
        """Return both tables as one; no word is in both."""
        hash_ = np.concatenate([self.hash, other.hash])
        order = np.argsort(hash_, kind="stable")
        length = np.concatenate([self.length, other.length])
        starts = np.cumsum(length) - length
        ids = _taken(np.concatenate([self.ids, other.ids]), starts, length, order)
        return _Table(hash_[order], ids, length[order], np.concatenate([self.count, other.count])[order])

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


def _taken(ids: np.ndarray, starts: np.ndarray, length: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return some words, end to end."""
    length = length[which]
    ends = np.cumsum(length)
    place = np.arange(ends[-1] if len(ends) else 0)
    place += np.repeat(starts[which] - (ends - length), length)
    return ids[place]


def _hash(ids: np.ndarray, starts: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return a hash of 64 bits for each word, none of them empty."""
    if not len(starts):
        return np.zeros(0, np.uint64)
    place = np.arange(len(ids)) - np.repeat(starts, length)
    mixed = _mixed((place.astype(np.uint64) << np.uint64(32)) | ids.astype(np.uint64))
    return _mixed(np.add.reduceat(mixed, starts))


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
