"""Sinusoids of a token's place in its piece, counted from the piece's beginning or from a token that starts the count.

Dimension key:  B batch   T tokens   D model width   P places

Places are counted from 1; a token before the count has place 0 and no sinusoid. There is no last place: tables grow
on demand and are not saved with a model.
"""

import math

import torch
from torch import Tensor, nn

from etude.models.segments import Segments

_FIRST = 2  # fairseq's number of the first token; its padding has 1


class PlaceSinusoids(nn.Module):
    """The sinusoids of fairseq: D/2 sines, then D/2 cosines, of the place times 10000 ** (-i / (D/2 - 1)).

    Source:
        Vaswani et al. 2017, section 3.5, in the order of tensor2tensor and fairseq, which begins at 2.
    """

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self._table: Tensor | None = None

    def forward(self, places: Tensor, last_place: int, dtype: torch.dtype) -> Tensor:
        """Return the sinusoids (..., D) of places, of which none is beyond ``last_place``; zeros for place 0."""
        table = self._table
        if table is None or len(table) <= last_place or table.device != places.device:
            # made in inference, it may serve training later, where autograd refuses inference tensors
            with torch.inference_mode(False):
                self._table = table = self._make(max(2 * last_place, 512)).to(places.device)
        return torch.nn.functional.embedding(places, table).to(dtype)

    def _make(self, last_place: int) -> Tensor:
        half = self.width // 2
        # float64 on the CPU: float32 angles are off by 1e-3 at place 10,000, and MPS has no float64
        number = torch.arange(half, dtype=torch.float64, device="cpu")
        frequency = torch.exp(number * (-math.log(10_000) / max(1, half - 1)))
        place = torch.arange(last_place + 1, dtype=torch.float64, device="cpu")
        angle_PI = torch.outer(place + (_FIRST - 1), frequency)
        table_PD = torch.zeros(last_place + 1, self.width)
        table_PD[1:, :half], table_PD[1:, half : 2 * half] = angle_PI[1:].sin(), angle_PI[1:].cos()
        return table_PD


def count_places(
    ids_BT: Tensor, start_id: int | None, before_B: Tensor | None = None, segments: Segments | None = None
) -> Tensor:
    """Return the place (B, T) of each token.

    Args:
        ids_BT: token ids.
        start_id: the first such id of a piece has place 1, what comes before it 0; None counts from the beginning.
        before_B: the place of the token before the first; 0 if nothing has been counted.
        segments: pieces side by side in a row, each counted by itself; then nothing comes before.

    Example:
        >>> count_places(torch.tensor([[5, 9, 5, 9]]), 9)
        tensor([[0, 1, 2, 3]])
    """
    if start_id is None:
        if segments is not None:
            return segments.place_BT + 1
        counted = torch.ones_like(ids_BT)
    else:
        counted = (_since_begin((ids_BT == start_id).long(), segments) > 0).long()
    if before_B is not None:
        counted |= (before_B > 0).long()[:, None]
        return before_B[:, None] + counted.cumsum(1)
    return _since_begin(counted, segments) * counted


def _since_begin(values_BT: Tensor, segments: Segments | None) -> Tensor:
    """Return running sums, begun anew in each segment."""
    sums_BT = values_BT.cumsum(1)
    if segments is None:
        return sums_BT
    begin_BT = torch.arange(values_BT.shape[1], device=values_BT.device) - segments.place_BT
    return sums_BT - (sums_BT - values_BT).gather(1, begin_BT)
