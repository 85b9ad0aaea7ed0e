"""A grammar whose ids may also copy one cell onto another before the rest of what they do.

Cells of a plain ``Grammar`` know nothing of each other, so none can say "not before the note that came last, unless
the bar is another one". With a copy, what the ids of one note build up in one cell becomes, at its last id, what the
ids of the next note are held against. An id's step is

    state = state[source[rule[v]]];  state = min(state * scale[rule[v]], cap[rule[v]]);  state[add_cell] += add_value

Legend as in ``grammar``: C cells, V ids, K rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from etude.tokens.grammar import Grammar, Rule


@dataclass(frozen=True, kw_only=True)
class CopyingRule(Rule):
    """A rule that may copy cells, all at once, before it clears, multiplies and adds.

    Args:
        copies: (cell, the cell that it takes its value from).
    """

    copies: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, eq=False)
class CopyingGrammar(Grammar):
    """The tables of an automaton with copies; see the module's header."""

    source: np.ndarray
    """(K, C) the cell that each cell takes its value from; most take their own."""

    @classmethod
    def of(cls, *, vocab_size: int, initial: Sequence[int] | np.ndarray, rules: Sequence[Rule]) -> "CopyingGrammar":
        """Build the tables. Ids in no rule are never legal.

        Args:
            vocab_size: V.
            initial: the state before the first id, (C,).
            rules: no id in two of them; those that copy are ``CopyingRule``.

        Example:
            >>> last, new = 0, 1  # numbers that never fall: id v says v, and id 3 ends a number
            >>> grammar = CopyingGrammar.of(
            ...     vocab_size=4,
            ...     initial=[0, 0],
            ...     rules=[
            ...         *(Rule(ids=[v], needs=[(last, 0, v)], clears=[new], adds=[(new, v)]) for v in range(3)),
            ...         CopyingRule(ids=[3], copies=[(last, new)]),
            ...     ],
            ... )
            >>> grammar.first_illegal([1, 3, 1, 3, 2, 3, 1])
            6
        """
        plain = Grammar.of(vocab_size=vocab_size, initial=initial, rules=rules)
        source = np.tile(np.arange(len(plain.initial), dtype=np.int32), (len(plain.scale), 1))
        for number, rule in enumerate(rules):
            for cell, taken_from in getattr(rule, "copies", ()):
                source[number, cell] = taken_from
        return cls(*(getattr(plain, field.name) for field in fields(Grammar)), source)

    def advance(self, state: np.ndarray, ids: np.ndarray | int) -> np.ndarray:
        """Return the states (..., C) after ids (...), legal or not; the given states stay as they are."""
        return super().advance(np.take_along_axis(state, self.source[self.rule[np.asarray(ids)]], -1), ids)

    def _step(self, state: np.ndarray, token_id: int) -> None:
        state[:] = state[self.source[self.rule[token_id]]]
        super()._step(state, token_id)
