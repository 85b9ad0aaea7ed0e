"""Pairs of neighbours: how often each stands and where, and which of them comes most often.

Some thousand of the most frequent pairs are watched: whenever a pair is merged, they are told how often they stand no
longer. What is known of the others is how often they stood at most; they are counted again before they are
watched. Legend: S pairs, N places.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

PART = 1 << 20
"""Places that are looked at together when it may be all of them: what is in use for a moment stays small."""

_NEVER = np.iinfo(np.int64).max
_WATCHED = 4000
"""Pairs that are watched at first; up to eight times as many while merges make new ones."""
_SHARE = 0.6
"""Pairs at least this frequent, compared with the most frequent, are always watched."""


class Row(Protocol):
    """Where pairs stand; see ``bpe_learn``."""

    num_ids: int
    place_bits: int
    length: np.ndarray
    weight: np.ndarray | None

    def standing(self, places: np.ndarray, left: int | np.ndarray, right: int | np.ndarray) -> np.ndarray:
        """Return at which places, where a pair once stood, it still does; bool."""


class Pairs:
    """All pairs that ever stood often enough.

    Args:
        row: where they stand.
        min_count: pairs that come less often are left alone.
        longest: and those that would take up more places than this.
    """

    def __init__(self, row: Row, *, min_count: int, longest: int) -> None:
        self._row, self._min_count, self._longest = row, min_count, longest
        self._all, self._size = np.zeros((6, 1024), np.int64), 0
        """Of each pair: its ids, how often it stands at most, and the step, begin and end of its places."""
        self._places: list[np.ndarray] = []
        """Of each step, the places of the pairs that it brought, pair after pair."""
        self._watched, self._num_watched, self._most_watched = np.zeros((4, 1024), np.int64), 0, 0
        """Of each watched pair: its number, its ids, how often it stands."""
        self._least = _NEVER
        """Pairs that come so often are watched."""
        self._chosen = 0
        self._count_with = np.zeros(row.num_ids, np.int64)

    def most_frequent(self) -> tuple[int, int, np.ndarray] | None:
        """Return the ids of the pair that comes most often and its places, ascending; None if none is frequent enough.

        Of pairs equally frequent the one of lower ids comes first.
        """
        while True:
            count = self._watched[3, : self._num_watched]
            most = int(count.max(initial=0))
            if most >= self._least:
                break
            if not self._watch():
                return None
        equal = (count == most).nonzero()[0]
        _, left, right, _ = self._watched.take(equal, axis=1)
        self._chosen = int(equal[(left * self._row.num_ids + right).argmin()])
        number, left, right, _ = self._watched[:, self._chosen].tolist()
        step, begin, end = self._all[3:, number].tolist()
        # written down in 32 bits, but numpy looks up fastest by its own width
        places = self._places[step][begin:end].astype(np.intp)
        return left, right, places[self._row.standing(places, left, right)]

    def forget(self) -> None:
        """Never again return the pair that was returned last."""
        self._watched[3, self._chosen] = 0

    def enter(self, key: np.ndarray, *, merged: tuple[int, int, int] | None = None) -> None:
        """Enter pairs that were not there before: where each stands and how often.

        Args:
            key: ``(left * num_ids + right) << place_bits | place``, int64, negative for none; written over.
            merged: the pair that made way for them, and what it became.
        """
        if not len(key):
            return
        row = self._row
        # places ascend within each pair
        key.sort()
        key = key[key.searchsorted(0) :]
        begin = _changes(key, row.place_bits)
        left, right = np.divmod(key.take(begin) >> row.place_bits, row.num_ids)
        end = np.append(begin[1:], len(key))
        key &= (1 << row.place_bits) - 1
        count = end - begin if row.weight is None else _sums(row.weight, key, begin)
        if merged:
            self._take_away(left, right, count, merged)
        kept = row.length.take(left) + row.length.take(right) <= self._longest
        kept &= count >= self._min_count
        kept = kept.nonzero()[0]
        if len(kept):
            step = np.full(len(left), len(self._places))
            self._places.append(key.astype(np.int32))
            self._append(*(column.take(kept) for column in (left, right, count, step, begin, end)))

    def _take_away(self, left: np.ndarray, right: np.ndarray, count: np.ndarray, merged: tuple[int, int, int]) -> None:
        """Count watched pairs less often because neighbours were merged: (x, new) stands where (x, left) did.

        Args:
            left, right, count: of the new pairs, in their order.
            merged: two ids that became ``new``, the highest id.
        """
        _, watched_left, watched_right, watched_count = self._watched[:, : self._num_watched]
        made_left, made_right, new = merged
        with_it = self._count_with
        split = int(left.searchsorted(new))
        before, after = left[:split], right[split:]
        with_it[before] = count[:split]
        hit = (watched_right == made_left).nonzero()[0]
        watched_count[hit] -= with_it.take(watched_left.take(hit))
        with_it[before] = 0
        with_it[after] = count[split:]
        # (new, new) stands where (right, left) did
        with_it[made_left] += with_it[new]
        hit = (watched_left == made_right).nonzero()[0]
        watched_count[hit] -= with_it.take(watched_right.take(hit))
        with_it[after] = with_it[made_left] = 0

    def _append(self, *columns: np.ndarray) -> None:
        count = columns[2]
        first, self._size = self._size, self._size + len(count)
        if self._size > self._all.shape[1]:
            more = np.zeros((6, max(len(count), self._all.shape[1])), np.int64)
            self._all = np.concatenate([self._all, more], axis=1)
        for row, column in zip(self._all[:, first : self._size], columns, strict=True):
            row[:] = column
        frequent = (count >= self._least).nonzero()[0]
        if len(frequent):
            self._add_to_watched(frequent + first)
            if self._num_watched > self._most_watched:
                self._watch()

    def _add_to_watched(self, numbers: np.ndarray) -> None:
        end = self._num_watched + len(numbers)
        if end > self._watched.shape[1]:
            self._watched = np.concatenate([self._watched, np.zeros((4, end), np.int64)], axis=1)
        watched = self._watched[:, self._num_watched : end]
        watched[0] = numbers
        watched[1:] = self._all[:3].take(numbers, axis=1)
        self._num_watched = end

    def _watch(self) -> bool:
        """Choose anew which pairs to watch; tell whether there are any."""
        watched, count = self._watched[0, : self._num_watched], self._all[2, : self._size]
        count[watched] = self._watched[3, : self._num_watched]
        known = np.full(self._size, self._least == _NEVER)
        known[watched] = True
        while True:
            most = int(count.max(initial=0))
            if most < self._min_count:
                return False
            enough = np.partition(count, -_WATCHED)[-_WATCHED] if len(count) > _WATCHED else 0
            self._least = max(self._min_count, min(int(most * _SHARE), int(enough)))
            numbers = (count >= self._least).nonzero()[0]
            unknown = numbers[~known[numbers]]
            if len(unknown):
                count[unknown] = self._counted(unknown)
                known[unknown] = True
                numbers = numbers[count[numbers] >= self._least]
            if len(numbers):
                self._num_watched, self._most_watched = 0, max(8 * _WATCHED, 2 * len(numbers))
                self._add_to_watched(numbers)
                return True

    def _counted(self, numbers: np.ndarray) -> np.ndarray:
        """Return how often pairs stand now."""
        left, right, _, step, begin, end = self._all[:, numbers]
        length, count = end - begin, np.empty(len(numbers), np.int64)
        pieces = [self._places[s][a:b] for s, a, b in zip(step.tolist(), begin.tolist(), end.tolist(), strict=True)]
        for i, k, *_ in _parts(length.cumsum() - length, int(length.sum())):
            places, times = np.concatenate(pieces[i:k]).astype(np.intp), length[i:k]
            stands = self._row.standing(places, left[i:k].repeat(times), right[i:k].repeat(times))
            if self._row.weight is not None:
                stands = np.where(stands, self._row.weight.take(places), 0)
            count[i:k] = np.add.reduceat(stands, times.cumsum() - times, dtype=np.int64)
        return count


def _changes(key: np.ndarray, bits: int) -> np.ndarray:
    """Return where runs of equal numbers begin, without their last bits."""
    begin = [np.zeros(min(1, len(key)), np.int64)]
    for start in range(0, len(key), PART):
        part = key[start : start + PART + 1] >> bits
        begin.append((part[1:] != part[:-1]).nonzero()[0] + (start + 1))
    return np.concatenate(begin)


def _sums(weight: np.ndarray, place: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """Return the weight of each group of places, int64."""
    if len(place) <= PART:
        return np.add.reduceat(weight.take(place), begin, dtype=np.int64)
    # numpy copies weights to 64 bits first
    parts = _parts(begin, len(place))
    return np.concatenate(
        [np.add.reduceat(weight.take(place[a:b]), begin[i:k] - a, dtype=np.int64) for i, k, a, b in parts]
    )


def _parts(begin: np.ndarray, size: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield from which group to which, and from which place to which, about ``PART`` places lie; no group is cut."""
    first = np.unique(begin.searchsorted(np.arange(0, size, PART)))
    first = [*first[first < len(begin)].tolist(), len(begin)]
    border = [*begin[first[:-1]].tolist(), size]
    yield from zip(first[:-1], first[1:], border[:-1], border[1:], strict=True)
