"""Learn which pairs of ids to merge: byte pair encoding on columns.

The most frequent pair of neighbours becomes a new id wherever it stands, again and again. All words lie in one
row, with -1 before, between and after them. A merged id is written at the first and at the last place of what it
stands for, so the neighbours of any id are one look away, and nothing is ever moved. A pair with a new id can
only come about when that id is made, and only becomes rarer afterwards; so the places of each pair are written
down once, and are checked when their turn comes. The work is about proportional to the merges done.
Legend: N places, S pairs.

Source:
    Gage 1994, "A new algorithm for data compression"; Sennrich et al. 2016, "Neural machine translation of rare
    words with subword units". Of pairs equally frequent the one of lower ids comes first.
"""

from collections.abc import Callable, Iterator

import numpy as np

from etude.tokens.bpe_words import Words

_NONE = -1
_SHARE = 0.6
"""Pairs at least this frequent, compared with the most frequent, are looked at one by one."""

Pair = tuple[int, int]


def learn_merges(
    words: Words,
    *,
    vocab_size: int,
    num_merges: int,
    min_count: int = 2,
    longest: int = 32,
    progress: Callable[[int], None] | None = None,
) -> list[Pair]:
    """Return pairs in the order in which they are to be merged; the k-th makes the id ``vocab_size + k``.

    No merge makes an id that stands for the same ids as another.

    Args:
        words: what to learn from.
        vocab_size: the ids of words are below it.
        num_merges: at most so many.
        min_count: pairs that come less often are left alone.
        longest: ids that a merged id stands for, at most.
        progress: called with the merges done.

    Example:
        >>> words = Words(np.array([0, 1, 2, 0, 1], np.int32), np.array([3, 2]), np.array([4, 5]))
        >>> learn_merges(words, vocab_size=3, num_merges=2)
        [(0, 1), (3, 2)]
    """
    row = _Row(words, vocab_size, min_count=min_count, longest=longest)
    stands_for = {(token_id,) for token_id in range(vocab_size)}
    spelt = [(token_id,) for token_id in range(vocab_size)]
    merges: list[Pair] = []
    for pair, left, right in row.most_frequent():
        if len(merges) == num_merges:
            break
        spelling = spelt[left] + spelt[right]
        if spelling in stands_for:
            row.forget(pair)
            continue
        stands_for.add(spelling)
        spelt.append(spelling)
        merges.append((left, right))
        row.merge(pair)
        if progress:
            progress(len(merges))
    return merges


class _Row:
    """All words in one row, and the pairs in it."""

    def __init__(self, words: Words, vocab_size: int, *, min_count: int, longest: int) -> None:
        self._min_count, self._longest = min_count, longest
        self._token, self._weight = _laid_out(words)
        self._length = np.ones(vocab_size, np.int64)
        """Places that each id takes up."""
        self._pair_at = np.full(len(self._token), _NONE, np.int32)
        """The pair that begins at each place."""
        self._left, self._right, self._count, self._step, self._begin, self._end = (_Growing() for _ in range(6))
        """Of each pair: its ids, how often it stands, and its part of the places that were written down."""
        self._places: list[np.ndarray] = []
        self._least = np.iinfo(np.int64).max
        self._candidates = np.zeros(0, np.int64)
        """The pairs that come at least ``_least`` times, ended ones among them."""
        key = self._token[:-1] * np.int64(vocab_size)
        key += self._token[1:]
        key[(self._token[:-1] < 0) | (self._token[1:] < 0)] = _NONE
        self._write_down(np.arange(len(key), dtype=np.int32), key, lambda key: divmod(key, vocab_size))

    def most_frequent(self) -> Iterator[tuple[int, int, int]]:
        """Yield the most frequent pair and its two ids, as long as there is one that is frequent enough."""
        while True:
            count = self._count.values[self._candidates]
            most = count.max(initial=0)
            if most < self._least:
                if not self._choose_candidates():
                    return
                continue
            equal = self._candidates[count == most]
            left, right = self._left.values[equal], self._right.values[equal]
            first = np.lexsort((right, left))[0] if len(equal) > 1 else 0
            yield int(equal[first]), int(left[first]), int(right[first])

    def forget(self, pair: int) -> None:
        """Never again yield a pair."""
        self._count.values[pair] = 0

    def merge(self, pair: int) -> None:
        """Make a new id of a pair wherever it stands."""
        left, right, new = int(self._left.values[pair]), int(self._right.values[pair]), len(self._length)
        # written down in 32 bits, but numpy looks up fastest by its own width
        head = self._places[self._step.values[pair]][self._begin.values[pair] : self._end.values[pair]].astype(np.intp)
        head = head[self._pair_at.take(head) == pair]
        if left == right:
            head = every_other(head, int(self._length[left]))
        middle = head + self._length[left]
        end = middle + self._length[right]
        self._length = np.append(self._length, self._length[left] + self._length[right])

        token = self._token.take(head - 1)
        inside = (token >= 0).nonzero()[0]
        inner = head.take(inside)
        before = inner - self._length.take(token.take(inside))
        self._take_away(middle)
        self._take_away(before)
        self.forget(pair)
        self._pair_at[head] = _NONE
        self._token[head] = self._token[end - 1] = new

        # pairs (x, new) and (new, y); where a new id follows another, the pair is written down with the first
        x, y = self._token.take(inner - 1), self._token.take(end)
        other, onwards = (x != new).nonzero()[0], (y >= 0).nonzero()[0]
        place = np.concatenate([before.take(other), head.take(onwards)])
        key = np.concatenate([x.take(other), y.take(onwards)]).astype(np.int64)
        key <<= 1
        key[len(other) :] |= 1
        self._write_down(place, key, lambda key: (np.where(key & 1, new, key >> 1), np.where(key & 1, key >> 1, new)))

    def _take_away(self, places: np.ndarray) -> None:
        """Count the pairs at places no longer."""
        pair = self._pair_at.take(places)
        counted = (pair >= 0).nonzero()[0]
        weight = self._weight.take(places.take(counted))
        np.subtract.at(self._count.values, pair.take(counted), weight.astype(np.int64))
        self._pair_at[places] = _NONE

    def _write_down(
        self, place: np.ndarray, key: np.ndarray, ids_of: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    ) -> None:
        """Enter pairs that were not there before: where each stands and how often.

        Args:
            place: whole numbers.
            key: stands for a pair, negative for none; int64, written over.
            ids_of: from keys to both ids.
        """
        if not len(key):
            return
        # places ascend within each key
        bits = len(self._token).bit_length()
        key <<= bits
        key |= place
        key.sort()
        place = key & ((1 << bits) - 1)
        key >>= bits
        first = np.concatenate([[0], np.flatnonzero(key[1:] != key[:-1]) + 1])
        length = np.diff(first, append=len(key))
        key = key[first]
        count = np.add.reduceat(self._weight.take(place), first, dtype=np.int64)
        left, right = ids_of(key)
        kept = (key >= 0) & (count >= self._min_count)
        kept[kept] = self._length[left[kept]] + self._length[right[kept]] <= self._longest
        number = np.full(len(first), _NONE, np.int32)
        number[kept] = np.arange(len(self._left), len(self._left) + np.count_nonzero(kept))
        self._pair_at[place] = np.repeat(number, length)
        self._step.extend(np.full(np.count_nonzero(kept), len(self._places)))
        self._places.append(place[np.repeat(kept, length)].astype(np.int32))
        length = length[kept]
        ends = np.cumsum(length)
        for column, values in (
            (self._left, left[kept]),
            (self._right, right[kept]),
            (self._count, count[kept]),
            (self._begin, ends - length),
            (self._end, ends),
        ):
            column.extend(values)
        self._candidates = np.concatenate([self._candidates, number[kept][count[kept] >= self._least]])

    def _choose_candidates(self) -> bool:
        """Choose anew which pairs to look at one by one; tell whether there are any."""
        most = int(self._count.values.max(initial=0))
        self._least = max(self._min_count, int(most * _SHARE))
        self._candidates = np.flatnonzero(self._count.values >= self._least)
        return bool(len(self._candidates))


class _Growing:
    """A column of whole numbers that grows at its end."""

    def __init__(self) -> None:
        self._array, self._size = np.zeros(1024, np.int64), 0

    def __len__(self) -> int:
        return self._size

    @property
    def values(self) -> np.ndarray:
        """The numbers, to be changed in place."""
        return self._array[: self._size]

    def extend(self, values: np.ndarray) -> None:
        """Add numbers at the end."""
        size = self._size + len(values)
        if size > len(self._array):
            self._array = np.concatenate([self.values, np.zeros(max(size, self._size), np.int64)])
        self._array[self._size : size] = values
        self._size = size


def _laid_out(words: Words) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of all words in one row, -1 around each, and how often the word at each place came."""
    inside = np.ones(len(words.ids) + len(words.length) + 1, bool)
    inside[0] = inside[np.cumsum(words.length + 1)] = False
    row = np.full(len(inside), _NONE, np.int32)
    row[inside] = words.ids
    wide = np.int64 if words.count.max(initial=0) >= 1 << 32 else np.uint32
    return row, np.repeat(np.append(words.count, 0).astype(wide), np.append(words.length + 1, 1))


def every_other(places: np.ndarray, length: int) -> np.ndarray:
    """Return places that do not overlap, from the left, when what stands at each takes up ``2 * length``."""
    if not len(places):
        return places
    starts = np.flatnonzero(np.diff(places, prepend=-1 - length) != length)
    within = np.arange(len(places)) - np.repeat(starts, np.diff(starts, append=len(places)))
    return places[within % 2 == 0]
