"""Grammars on tensors: which ids may come next, for a batch of pieces that are being written.

Dimension key:  B batch   C cells of a state   R requirements of an id   V ids
The rules are those of ``etude.tokens.grammar``. A call runs once for every token, so it is a few tensor
operations and nothing else; states are int32.
"""

import numpy as np
import torch

from etude.tokens.grammar import Grammar


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
        return (state_BC * scale_BC).minimum(cap_BC).add_(add_BC)
