"""What ids do to notes and to the clock, for tokenizers whose notes begin and end with ids of their own."""

from typing import NamedTuple

import numpy as np

NO_KEY = -1


class NoteTiming(NamedTuple):
    """What happens in each step. An id is one step; one that stands for several ids is several. Legend: S steps, V ids.

    Attributes:
        starts: the key that begins to sound, ``NO_KEY`` for none; int64 (S,).
        ends: the key that stops, ``NO_KEY`` for none; int64 (S,).
        advance_sec: how far the clock moves; float32 (S,).
        lets_end: whether a note that has sounded for a while may end right after; bool (S,).
        num_keys: keys there are.
        first: id v is the steps from ``first[v]`` up to ``first[v + 1]``; int64 (V + 1,).
    """

    starts: np.ndarray
    ends: np.ndarray
    advance_sec: np.ndarray
    lets_end: np.ndarray
    num_keys: int
    first: np.ndarray

    @classmethod
    def of_ids(
        cls, starts: np.ndarray, ends: np.ndarray, advance_sec: np.ndarray, lets_end: np.ndarray, *, num_keys: int
    ) -> "NoteTiming":
        """Return the timing of ids that are one step each; columns (V,)."""
        advance_sec, first = np.asarray(advance_sec, np.float32), np.arange(len(starts) + 1)
        return cls(starts, ends, advance_sec, lets_end, num_keys, first)

    def joined(self, ids: np.ndarray, length: np.ndarray) -> "NoteTiming":
        """Return the timing of other ids, each of which stands for some of these.

        Args:
            ids: of this vocabulary, end to end.
            length: how many of them each new id stands for, (V,).
        """
        steps = np.diff(self.first)[ids]
        ends = np.cumsum(steps)
        place = np.arange(steps.sum()) + np.repeat(self.first[ids] - (ends - steps), steps)
        columns = (column[place] for column in self[:4])
        return NoteTiming(*columns, self.num_keys, np.append(0, ends[np.cumsum(length) - 1]))

    def padded(self, vocab_size: int) -> "NoteTiming":
        """Return the timing of a vocabulary with more ids at its end, which do nothing."""
        more = (0, vocab_size + 1 - len(self.first))
        starts, ends = (np.pad(column, more, constant_values=NO_KEY) for column in (self.starts, self.ends))
        first = np.append(self.first, len(self.starts) + 1 + np.arange(more[1]))
        return NoteTiming(
            starts, ends, np.pad(self.advance_sec, more), np.pad(self.lets_end, more), self.num_keys, first
        )
