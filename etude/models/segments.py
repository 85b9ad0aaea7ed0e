"""Rows that hold several pieces one after the other, and attention that stays within each.

Dimension key:  B batch   T tokens   Q queries of one block   N keys of one block

A segment is a run of equal numbers along a row; what the numbers are does not matter.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Segments:
    """Where the pieces of each row begin and end.

    Args:
        ids_BT: a number a token.
        window: how many tokens of its segment a token sees at most, itself included.
    """

    ids_BT: Tensor
    window: int

    @cached_property
    def number_BT(self) -> Tensor:
        """Segments of a row, counted from 0."""
        return self._begins_BT.cumsum(1)

    @cached_property
    def place_BT(self) -> Tensor:
        """Tokens before a token in its segment."""
        place_T = torch.arange(self.ids_BT.shape[1], device=self.ids_BT.device)
        return place_T - (place_T * self._begins_BT).cummax(1).values

    @cached_property
    def end_BT(self) -> Tensor:
        """One past the last token of a token's segment."""
        place_T = torch.arange(self.ids_BT.shape[1], device=self.ids_BT.device)
        begins_BT = torch.where(self._begins_BT, place_T, len(place_T))[:, 1:]
        ends_BT = torch.nn.functional.pad(begins_BT, (0, 1), value=len(place_T))
        return ends_BT.flip(1).cummin(1).values.flip(1)

    @cached_property
    def spans(self) -> list[list[tuple[int, int]]]:
        """First token and end of each segment, row by row; on an accelerator this waits for it."""
        num_tokens = self.ids_BT.shape[1]
        starts = [[0, *row.nonzero().flatten().tolist()] for row in self._begins_BT.cpu()]
        return [list(zip(row, [*row[1:], num_tokens], strict=True)) for row in starts]

    def apart(self, rows: slice, queries: slice, keys: slice) -> Tensor:
        """Return for each pair (rows, Q, N) whether query and key are of different segments."""
        return self.number_BT[rows, queries, None] != self.number_BT[rows, None, keys]

    @cached_property
    def seen_B1TT(self) -> Tensor:
        """For each pair, whether the query sees the key; made once for all blocks."""
        everything = slice(None)
        near_TT = torch.ones_like(self.ids_BT[0], dtype=torch.bool).expand(self.ids_BT.shape[1], -1)
        near_TT = near_TT.tril().triu(1 - self.window)
        return (near_TT & ~self.apart(everything, everything, everything))[:, None]

    @cached_property
    def _begins_BT(self) -> Tensor:
        begins_BT = torch.zeros_like(self.ids_BT, dtype=torch.bool)
        begins_BT[:, 1:] = self.ids_BT[:, 1:] != self.ids_BT[:, :-1]
        return begins_BT
