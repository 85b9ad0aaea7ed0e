"""Learn which pairs of ids to merge: byte pair encoding on columns.

The most frequent pair of neighbours becomes a new id wherever it stands, again and again. All words lie in one
row, with -1 before, between and after them. A merged id is written at the first and at the last place of what it
stands for and where its right part began, so the neighbours of any id are one look away, nothing is ever moved, and
an id that has become part of another is not found any more where it began. A pair with a new id can only come about
when that id is made, and only becomes rarer afterwards; so the places of each pair are written down once
(``bpe_pairs.py``), and are looked at again when its turn comes. The work is about proportional to the merges done.
Legend: N places.

Source:
    Gage 1994, "A new algorithm for data compression"; Sennrich et al. 2016, "Neural machine translation of rare
    words with subword units". Of pairs equally frequent the one of lower ids comes first.
"""

from collections.abc import Callable

import numpy as np

from etude.tokens.bpe_pairs import PART, Pairs
from etude.tokens.bpe_words import Words

_NONE = -1

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
    row = _Row(words, vocab_size, num_ids=vocab_size + num_merges)
    pairs = Pairs(row, min_count=min_count, longest=longest)
    pairs.enter(row.neighbours())
    stands_for = {(token_id,) for token_id in range(vocab_size)}
    spelt = [(token_id,) for token_id in range(vocab_size)]
    merges: list[Pair] = []
    while len(merges) < num_merges and (found := pairs.most_frequent()):
        left, right, places = found
        pairs.forget()
        spelling = spelt[left] + spelt[right]
        if spelling in stands_for:
            continue
        stands_for.add(spelling)
        spelt.append(spelling)
        merges.append((left, right))
        pairs.enter(row.merge(left, right, places), merged=(left, right, len(spelt) - 1))
        if progress:
            progress(len(merges))
    return merges


class _Row:
    """All words in one row.

    Attributes:
        weight: how often the word at each place came, or None if every word came once.
        length: places that each id takes up.
        num_ids: more than any id that there will be.
        place_bits: bits that a place has at most.
    """

    def __init__(self, words: Words, vocab_size: int, *, num_ids: int) -> None:
        self.num_ids = num_ids
        self._new = vocab_size
        self._border = np.cumsum(np.append(-1, words.length) + 1)
        size = len(words.ids) + len(self._border)
        self.place_bits = size.bit_length()
        self.length = np.ones(num_ids, np.int64)
        inside = np.ones(size, bool)
        inside[self._border] = False
        # half the bytes are half the time where memory is what takes it
        self._token = np.full(size, _NONE, np.int16 if num_ids < 1 << 15 else np.int32)
        self._token[inside] = words.ids
        most = int(words.count.max(initial=1))
        self.weight = None
        if most > 1:
            count = np.append(words.count, 0).astype(np.min_scalar_type(most))
            self.weight = count.repeat(np.append(words.length + 1, 1))

    def neighbours(self) -> np.ndarray:
        """Return ``(left * num_ids + right) << place_bits | place`` of all pairs, int64; -1 where there is none."""
        key = np.empty(len(self._token) - 1, np.int64)
        for start in range(0, len(key), PART):
            part, token = key[start : start + PART], self._token[start : start + PART + 1]
            np.multiply(token[:-1], np.int64(self.num_ids), out=part)
            part += token[1:]
            part <<= self.place_bits
            part |= np.arange(start, start + len(part))
        key[self._border[:-1]] = key[self._border[1:] - 1] = _NONE
        return key

    def standing(self, places: np.ndarray, left: int | np.ndarray, right: int | np.ndarray) -> np.ndarray:
        """Return at which places, where a pair once stood, it still does; bool."""
        stands = self._token.take(places) == left
        stands &= self._token.take(places + self.length[left]) == right
        return stands

    def merge(self, left: int, right: int, head: np.ndarray) -> np.ndarray:
        """Make the next id of a pair wherever it stands; return the pairs with it as ``neighbours`` does.

        Args:
            left, right: the pair.
            head: all places where it stands.
        """
        token, new, length = self._token, self._new, int(self.length[left])
        if left == right:
            head = every_other(head, length)
        self._new += 1
        self.length[new] = length + self.length[right]
        middle = head + length
        end = head + self.length[new]
        token[head] = token[middle] = token[end - 1] = new
        # pairs (x, new) and (new, y); where a new id follows another, the pair is written down with the first
        x, y = token.take(head - 1), token.take(end)
        other, onwards = ((x >= 0) & (x != new)).nonzero()[0], (y >= 0).nonzero()[0]
        x = x.take(other)
        key = np.empty(len(other) + len(onwards), np.int64)
        before, after = key[: len(other)], key[len(other) :]
        np.multiply(x, np.int64(self.num_ids), out=before)
        before += new
        after[:] = y.take(onwards)
        after += new * self.num_ids
        key <<= self.place_bits
        before += head.take(other) - self.length.take(x)
        after += head.take(onwards)
        return key


def every_other(places: np.ndarray, length: int) -> np.ndarray:
    """Return places that do not overlap, from the left, when what stands at each takes up ``2 * length``."""
    if not len(places):
        return places
    starts = np.flatnonzero(np.diff(places, prepend=-1 - length) != length)
    within = np.arange(len(places)) - np.repeat(starts, np.diff(starts, append=len(places)))
    return places[within % 2 == 0]
