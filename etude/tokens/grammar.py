"""Which ids may come next: an automaton kept as tables of numpy arrays.

A state is a vector of small counters, the cells. Legend: C cells, V ids, R requirements of an id,
E effects of an id, K rules. An id v is legal when every one of its requirements holds,

    need_low[v, r] <= state[need_cell[v, r]] <= need_high[v, r]

and when it comes, the state becomes

    state = min(state * scale[rule[v]], cap[rule[v]]);  state[add_cell[v, e]] += add_value[v, e]

Tables and not code, so that one piece of torch (``etude.generate.constrain``) serves every tokenizer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from etude.tokens.grammar_merging import merged_tables

ANY = np.iinfo(np.int32).max
"""The upper limit of a cell that has none."""

PerId = int | np.ndarray
"""A whole number, or one for each id of a rule."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a group of ids is legal and what they do.

    Args:
        ids: the group.
        needs: (cell, low, high): bounds included; each may differ from id to id.
        clears: cells set to 0.
        multiplies: (cells, factor, cap): cells multiplied, then held to at most ``cap``.
        adds: (cell, value), after clearing and multiplying; each may differ from id to id.
    """

    ids: Sequence[int] | np.ndarray
    needs: Sequence[tuple[PerId, PerId, PerId]] = ()
    clears: Sequence[int] = ()
    multiplies: Sequence[tuple[int | np.ndarray, int, int]] = ()
    adds: Sequence[tuple[PerId, PerId]] = ()


@dataclass(frozen=True, eq=False)
class Grammar:
    """The tables of an automaton; see the module's header. Build one from rules with ``of``."""

    initial: np.ndarray
    """State before the first id, (C,)."""
    need_cell: np.ndarray
    """(V, R); an id without a rule has an impossible requirement."""
    need_low: np.ndarray
    need_high: np.ndarray
    rule: np.ndarray
    """(V,) row of ``scale`` and ``cap``."""
    scale: np.ndarray
    """(K, C)."""
    cap: np.ndarray
    add_cell: np.ndarray
    """(V, E)."""
    add_value: np.ndarray

    @classmethod
    def of(cls, *, vocab_size: int, initial: Sequence[int] | np.ndarray, rules: Sequence[Rule]) -> "Grammar":
        """Build the tables. Ids in no rule are never legal.

        Args:
            vocab_size: V.
            initial: the state before the first id, (C,).
            rules: no id in two of them.

        Example:
            >>> opened = 0  # the one cell: brackets that are open
            >>> brackets = Grammar.of(
            ...     vocab_size=2,
            ...     initial=[0],
            ...     rules=[
            ...         Rule(ids=[0], needs=[(opened, 0, 2)], adds=[(opened, 1)]),
            ...         Rule(ids=[1], needs=[(opened, 1, ANY)], adds=[(opened, -1)]),
            ...     ],
            ... )
            >>> brackets.first_illegal([0, 0, 1, 1, 1])
            4
        """
        initial = np.asarray(initial, np.int32)
        most_needs = max([1, *(len(rule.needs) for rule in rules)])
        most_adds = max([1, *(len(rule.adds) for rule in rules)])
        need_cell, need_low, need_high = (np.zeros((vocab_size, most_needs), np.int32) for _ in range(3))
        # without a rule no value is enough
        need_low[:], need_high[:] = ANY, -ANY
        row = np.zeros(vocab_size, np.int32)
        scale = np.ones((max(len(rules), 1), len(initial)), np.int32)
        cap = np.full_like(scale, ANY)
        add_cell, add_value = (np.zeros((vocab_size, most_adds), np.int32) for _ in range(2))
        for number, rule in enumerate(rules):
            ids = np.asarray(rule.ids)
            row[ids] = number
            need_low[ids], need_high[ids] = -ANY, ANY
            for place, (cell, low, high) in enumerate(rule.needs):
                need_cell[ids, place], need_low[ids, place], need_high[ids, place] = cell, low, high
            scale[number, list(rule.clears)] = 0
            for cells, factor, limit in rule.multiplies:
                scale[number, cells], cap[number, cells] = factor, limit
            for place, (cell, value) in enumerate(rule.adds):
                add_cell[ids, place], add_value[ids, place] = cell, value
        return cls(initial, need_cell, need_low, need_high, row, scale, cap, add_cell, add_value)

    @property
    def vocab_size(self) -> int:
        """Return V."""
        return len(self.rule)

    def start(self, batch: tuple[int, ...] = ()) -> np.ndarray:
        """Return the state before the first id of a piece, int32, ``batch + (C,)``."""
        return np.broadcast_to(self.initial, (*batch, len(self.initial))).copy()

    def legal(self, state: np.ndarray) -> np.ndarray:
        """Return which ids may come next, bool (..., V), for states (..., C).

        After the id that ends a piece none may.
        """
        value = state[..., self.need_cell]
        return ((value >= self.need_low) & (value <= self.need_high)).all(-1)

    def advance(self, state: np.ndarray, ids: np.ndarray | int) -> np.ndarray:
        """Return the states (..., C) after ids (...), legal or not; the given states stay as they are."""
        ids = np.asarray(ids)
        state = np.minimum(state * self.scale[self.rule[ids]], self.cap[self.rule[ids]])
        for place in range(self.add_cell.shape[1]):
            cell = self.add_cell[ids, place][..., None]
            value = np.take_along_axis(state, cell, -1) + self.add_value[ids, place][..., None]
            np.put_along_axis(state, cell, value, -1)
        return state

    def first_illegal(self, ids: Sequence[int] | np.ndarray) -> int | None:
        """Return the place of the first id that may not stand where it stands, or None."""
        state = self.initial.copy()
        for place, token_id in enumerate(np.asarray(ids).tolist()):
            value = state[self.need_cell[token_id]]
            if (value < self.need_low[token_id]).any() or (value > self.need_high[token_id]).any():
                return place
            self._step(state, token_id)
        return None

    def accepts(self, ids: Sequence[int] | np.ndarray) -> bool:
        """Tell whether ids are a legal beginning of a piece."""
        return self.first_illegal(ids) is None

    def after(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the state (C,) after a whole sequence, such as a prompt."""
        state = self.initial.copy()
        for token_id in np.asarray(ids).tolist():
            self._step(state, token_id)
        return state

    def merged(self, sequences: Sequence[Sequence[int] | np.ndarray]) -> "Grammar":
        """Return this grammar with an id more for each sequence, which stands for it exactly.

        Such an id is legal where its sequence is, and leads to the same state. Cells that some id multiplies
        must never be negative.

        Args:
            sequences: ids of this grammar, each sequence not empty; its id is V plus its place here.

        Example:
            >>> opened = 0
            >>> brackets = Grammar.of(
            ...     vocab_size=2,
            ...     initial=[0],
            ...     rules=[
            ...         Rule(ids=[0], needs=[(opened, 0, 2)], adds=[(opened, 1)]),
            ...         Rule(ids=[1], needs=[(opened, 1, ANY)], adds=[(opened, -1)]),
            ...     ],
            ... ).merged([[0, 0], [1, 1, 1]])
            >>> brackets.first_illegal([0, 2, 3]), brackets.first_illegal([2, 2])
            (None, 1)
        """
        return replace(self, **merged_tables(self, sequences)) if len(sequences) else self

    def _step(self, state: np.ndarray, token_id: int) -> None:
        """Advance one state in place; the tables are small, so calls are what costs."""
        rule = self.rule[token_id]
        np.multiply(state, self.scale[rule], out=state)
        np.minimum(state, self.cap[rule], out=state)
        for cell, value in zip(self.add_cell[token_id], self.add_value[token_id], strict=True):
            state[cell] += value
