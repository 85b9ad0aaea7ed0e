"""What may follow what in a grammar, as far as single steps tell.

Each cell is known to be within an interval after an id, from what the id asked of it and did to it; an id may
follow if its own needs leave something of every interval. That is never too strict: what may follow in some piece
may follow here. Legend: V ids, I cells looked at, A and B kinds of ids that are alike in what they leave and in
what they ask.
"""

import numpy as np

from etude.tokens.grammar import ANY, Grammar

_MOST_COMPARISONS = 1 << 26
_FEWEST_IDS = 3
"""Cells that fewer ids ask for are not looked at."""


class Paths:
    """Which ids may follow which, see the module's header."""

    def __init__(self, grammar: Grammar) -> None:
        """Compare all ids with all, by kinds."""
        cells = _worth_looking_at(grammar)
        low, high = _asked(grammar, cells)
        left_low, left_high = _left(grammar, cells, low, high)
        while True:
            left, self._leaves = _kinds(left_low, left_high)
            asked, self._asks = _kinds(low, high)
            if len(left) * len(asked) * len(cells) <= _MOST_COMPARISONS:
                break
            # the cell that tells most kinds apart costs most
            widest = int(np.argmax([len(np.unique(column)) for column in low.T + high.T * 3]))
            cells = np.delete(cells, widest)
            low, high, left_low, left_high = (
                np.delete(bound, widest, axis=1) for bound in (low, high, left_low, left_high)
            )
        self._follows = _overlap(left, asked)
        start = grammar.initial[cells]
        self._from_start = _overlap(np.stack([start, start], axis=-1)[None], asked)[0]
        self._possible = (grammar.need_low <= grammar.need_high).all(1)
        self._num_kinds = len(asked)

    def ends(self) -> np.ndarray:
        """Return which ids nothing may follow, bool (V,)."""
        return self._none_follow(np.ones(len(self._asks), bool))

    def leads_only_to(self, goal: np.ndarray) -> np.ndarray:
        """Return which ids can only be followed, sooner or later, by one of ``goal``, bool (V,).

        Args:
            goal: bool (V,).
        """
        certain = np.zeros(len(goal), bool)
        while True:
            more = self._none_follow(~(goal | certain)) & ~self.ends() & self._possible
            if (more == certain).all():
                return certain
            certain = more

    def reaches(self, goal: np.ndarray, *, without: np.ndarray) -> bool:
        """Tell whether a piece may come to an id of ``goal`` by none of the ids ``without``."""
        allowed = self._possible & ~without
        reached = allowed & self._from_start[self._asks]
        while not (reached & goal).any():
            kinds = np.zeros(len(self._follows), bool)
            kinds[self._leaves[reached]] = True
            more = reached | (allowed & self._follows[kinds].any(0)[self._asks])
            if (more == reached).all():
                return False
            reached = more
        return True

    def _none_follow(self, ids: np.ndarray) -> np.ndarray:
        """Return after which ids none of these may come."""
        kinds = np.zeros(self._num_kinds, bool)
        kinds[self._asks[ids & self._possible]] = True
        return ~self._follows[:, kinds].any(1)[self._leaves]


def _worth_looking_at(grammar: Grammar) -> np.ndarray:
    """Return the cells that more than a few ids ask for."""
    asks = (grammar.need_low > -ANY) | (grammar.need_high < ANY)
    return np.flatnonzero(np.bincount(grammar.need_cell[asks], minlength=len(grammar.initial)) >= _FEWEST_IDS)


def _asked(grammar: Grammar, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value that each id asks of some cells, (V, I)."""
    low, high = (np.full((grammar.vocab_size, len(cells)), value, np.int64) for value in (-ANY, ANY))
    column = _columns(grammar, cells)
    for need in range(grammar.need_cell.shape[1]):
        ids = np.flatnonzero(column[grammar.need_cell[:, need]] >= 0)
        at = (ids, column[grammar.need_cell[ids, need]])
        low[at] = np.maximum(low[at], grammar.need_low[ids, need])
        high[at] = np.minimum(high[at], grammar.need_high[ids, need])
    return low, high


def _left(grammar: Grammar, cells: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value that some cells may have after each id, (V, I)."""
    column = _columns(grammar, cells)
    source = getattr(grammar, "source", None)
    if source is not None:
        taken = column[source[:, cells]][grammar.rule]
        low = np.where(taken < 0, -ANY, np.take_along_axis(low, np.maximum(taken, 0), axis=1))
        high = np.where(taken < 0, ANY, np.take_along_axis(high, np.maximum(taken, 0), axis=1))
    scale, cap = (table[:, cells].astype(np.int64)[grammar.rule] for table in (grammar.scale, grammar.cap))
    add = np.zeros(low.shape, np.int64)
    for effect in range(grammar.add_cell.shape[1]):
        ids = np.flatnonzero(column[grammar.add_cell[:, effect]] >= 0)
        add[ids, column[grammar.add_cell[ids, effect]]] += grammar.add_value[ids, effect]
    left_low = np.where((low <= -ANY) & (scale != 0), -ANY, np.minimum(low * scale, cap) + add)
    # a cap holds even what is not known
    top = np.where(cap < ANY, cap + add, ANY)
    left_high = np.where((high >= ANY) & (scale != 0), top, np.minimum(high * scale, cap) + add)
    return left_low, left_high


def _columns(grammar: Grammar, cells: np.ndarray) -> np.ndarray:
    """Return the place of each cell among ``cells``, -1 for the others."""
    column = np.full(len(grammar.initial), -1)
    column[cells] = np.arange(len(cells))
    return column


def _kinds(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return different rows of bounds (kinds, I, 2), and the kind of each id."""
    kind = np.zeros(len(low), np.int64)
    # column by column, which is much faster than comparing whole rows
    for column in (*low.T, *high.T):
        values, value = np.unique(column, return_inverse=True)
        kind = np.unique(kind * len(values) + value, return_inverse=True)[1]
    first = np.unique(kind, return_index=True)[1]
    return np.stack([low[first], high[first]], axis=-1), kind


def _overlap(left: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return which intervals (A, I, 2) have something in common with which (B, I, 2) in all cells, bool (A, B)."""
    common = np.ones((len(left), len(asked)), bool)
    for cell in range(left.shape[1]):
        common &= (left[:, None, cell, 0] <= asked[None, :, cell, 1]) & (
            left[:, None, cell, 1] >= asked[None, :, cell, 0]
        )
    return common
