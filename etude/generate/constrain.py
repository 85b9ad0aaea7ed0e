"""Grammars on tensors: which ids may come next, for a batch of pieces that are being written.

Dimension key:  B batch   C cells of a state   R requirements of an id   U different requirements
                G groups of ids that require the same   V ids
The rules are those of ``etude.tokens.grammar``. A call runs once for every token, so it is a few tensor
operations and nothing else; states are int32.
"""

import numpy as np
import torch

from etude.tokens.grammar import ANY, Grammar
from etude.tokens.grammar_copying import CopyingGrammar


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
        needs_U3, needs_GR, group_V = _grouped(grammar)
        self._cell_U = lifted(needs_U3[:, 0].astype(np.int64))
        self._low_U1, self._high_U1 = lifted(needs_U3[:, 1:2]), lifted(needs_U3[:, 2:])
        self._needs_RG, self._shape = lifted(needs_GR.T.ravel()), (*needs_GR.T.shape, -1)
        self._group_V = lifted(group_V)
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
        # takes side by side: what is looked up is then copied row by row
        value_UB = state_BC.t().contiguous().index_select(0, self._cell_U)
        met_UB = value_UB >= self._low_U1
        met_UB &= value_UB <= self._high_U1
        met_RGB = met_UB.index_select(0, self._needs_RG).view(self._shape)
        # the least of bytes, because ``all`` over bools is many times as slow
        legal_GB = met_RGB.view(torch.uint8).amin(0).view(torch.bool)
        return legal_GB.index_select(0, self._group_V).t()

    def advance(self, state_BC: torch.Tensor, ids_B: torch.Tensor) -> torch.Tensor:
        """Return the states after one more id for each piece; the given states stay as they are."""
        scale_BC, cap_BC, add_BC = self._effect_V3C.index_select(0, ids_B).unbind(1)
        if self._source_VC is not None:
            state_BC = state_BC.gather(1, self._source_VC.index_select(0, ids_B))
        return (state_BC * scale_BC).minimum(cap_BC).add_(add_BC)


def _grouped(grammar: Grammar) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return requirements without repetition: most ids share theirs with many others.

    Returns:
        The different requirements (cell, low, high) (U, 3); of each group of ids the rows of those that it has
        (G, R); the group of each id (V,).
    """
    needs = np.stack([grammar.need_cell, grammar.need_low, grammar.need_high], -1)
    needs[(needs[..., 1] == -ANY) & (needs[..., 2] == ANY), 0] = 0
    needs_U3, row = np.unique(needs.reshape(-1, 3), axis=0, return_inverse=True)
    # in whatever order they are asked for
    row_VR = np.sort(row.reshape(needs.shape[:2]), axis=1)
    needs_GR, group_V = np.unique(row_VR, axis=0, return_inverse=True)
    return needs_U3, needs_GR, group_V.ravel()
