"""Grammars on tensors: which ids may come next, for a batch of pieces that are being written.

Dimension key:  B batch   C cells of a state   R requirements of an id   V ids   K keys
The rules are those of ``etude.tokens.grammar``. A call runs once for every token, so it is a few tensor
operations and nothing else; states are int32.
"""

import numpy as np
import torch

from etude.tokens.grammar import Grammar
from etude.tokens.grammar_copying import CopyingGrammar
from etude.tokens.note_timing import NoteTiming


class Constraint:
    """A grammar's tables on a device.

    Example:
        >>> from etude.tokens import build_tokenizer
        >>> constraint = Constraint(build_tokenizer("performance").grammar, "cpu")
        >>> state_BC = constraint.start(1)
        >>> mask_BV = constraint.legal(state_BC)
        >>> bool(mask_BV[0, 60]), bool(mask_BV[0, 376])  # NOTE_ON_60 needs a velocity first
        (False, True)
        >>> state_BC = constraint.advance(state_BC, torch.tensor([376]))
        >>> bool(constraint.legal(state_BC)[0, 60])
        True
    """

    def __init__(self, grammar: Grammar, device: torch.device | str = "cpu") -> None:
        """Copy the tables to a device."""

        def lifted(table: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(table)).to(device)

        self._grammar = grammar
        self._initial_C = lifted(grammar.initial)
        self._shape = (-1, *grammar.need_cell.T.shape)
        self._need_cell = lifted(grammar.need_cell.T.astype(np.int64).ravel())
        self._need_low_RV, self._need_high_RV = lifted(grammar.need_low.T), lifted(grammar.need_high.T)
        # scale, cap and what is added, side by side: one look-up a step instead of five
        add_VC = np.zeros((grammar.vocab_size, len(grammar.initial)), np.int32)
        for cell, value in zip(grammar.add_cell.T, grammar.add_value.T, strict=True):
            np.add.at(add_VC, (np.arange(grammar.vocab_size), cell), value)
        self._effect_V3C = lifted(np.stack([grammar.scale[grammar.rule], grammar.cap[grammar.rule], add_VC], axis=1))
        # of a grammar that copies cells, the cell that each takes its value from
        self._source_VC = None
        if isinstance(grammar, CopyingGrammar):
            self._source_VC = lifted(grammar.source[grammar.rule].astype(np.int64))

    def start(self, batch_size: int) -> torch.Tensor:
        """Return the states (B, C) of pieces not begun."""
        return self._initial_C.repeat(batch_size, 1)

    def after(self, ids: np.ndarray) -> torch.Tensor:
        """Return the state (1, C) after a prompt; ``expand`` or ``repeat`` it for a batch."""
        return torch.from_numpy(self._grammar.after(ids)).to(self._initial_C.device)[None]

    def legal(self, state_BC: torch.Tensor) -> torch.Tensor:
        """Return mask_BV, bool: the ids that may come next; none in a row whose piece has ended."""
        value_BRV = state_BC.index_select(1, self._need_cell).view(self._shape)
        return (value_BRV.clamp(self._need_low_RV, self._need_high_RV) == value_BRV).all(1)

    def advance(self, state_BC: torch.Tensor, ids_B: torch.Tensor) -> torch.Tensor:
        """Return the states after one more id for each piece; the given states stay as they are."""
        scale_BC, cap_BC, add_BC = self._effect_V3C.index_select(0, ids_B).unbind(1)
        if self._source_VC is not None:
            state_BC = state_BC.gather(1, self._source_VC.index_select(0, ids_B))
        return (state_BC * scale_BC).minimum(cap_BC).add_(add_BC)


class LongestNote:
    """Keys that have sounded too long must end before anything else happens.

    A model that forgets to end a note never hears such a note in its data and does not know how to go on; the
    note then sounds to the end of the take. The state is the age of each key in seconds, float32 (B, K + 1), -inf
    for a silent one; the last column takes what concerns no key.

    Args:
        timing: what ids do to keys and clock.
        longest_sec: age from which on a key must end; it ends at the next moment that the grammar lets it.
        device: where the states are.
    """

    def __init__(self, timing: NoteTiming, longest_sec: float, device: torch.device | str = "cpu") -> None:
        """Copy the tables to a device."""
        self._longest_sec = longest_sec
        self._num_keys = timing.num_keys
        # index K, the column of no key, stands for NO_KEY
        keys = [np.where(column < 0, timing.num_keys, column) for column in (timing.starts, timing.ends)]
        self._starts_V, self._ends_V = (torch.from_numpy(column).to(device) for column in keys)
        self._advance_V = torch.from_numpy(timing.advance_sec).to(device)

    def start(self, batch_size: int) -> torch.Tensor:
        """Return the ages (B, K + 1) before the first id."""
        return self._advance_V.new_full((batch_size, self._num_keys + 1), -torch.inf)

    def after(self, ids: np.ndarray) -> torch.Tensor:
        """Return the ages (1, K + 1) after a prompt."""
        age_BK = self.start(1)
        for id_ in torch.from_numpy(np.asarray(ids, np.int64)).to(age_BK.device):
            age_BK = self.advance(age_BK, id_[None])
        return age_BK

    def narrow(self, mask_BV: torch.Tensor, age_BK: torch.Tensor) -> torch.Tensor:
        """Return the mask with only the ends of overdue keys left, in rows where one may end now."""
        overdue_BK = age_BK > self._longest_sec
        overdue_BK[:, -1] = False
        must_BV = overdue_BK.index_select(1, self._ends_V) & mask_BV
        return torch.where(must_BV.any(1, keepdim=True), must_BV, mask_BV)

    def advance(self, age_BK: torch.Tensor, ids_B: torch.Tensor) -> torch.Tensor:
        """Return the ages after one more id for each piece; the given ages stay as they are."""
        age_BK = age_BK + self._advance_V[ids_B][:, None]
        age_BK.scatter_(1, self._ends_V[ids_B][:, None], -torch.inf)
        return age_BK.scatter_(1, self._starts_V[ids_B][:, None], 0.0)
