"""What an attention layer remembers of the tokens it has seen: their keys and values.

Dimension key:  B batch   H heads   S slots   K width of one head   T tokens

Token number t lives in slot ``t % S``: when the slots are full the oldest token makes room. Keys are stored
transposed, since a query then meets many keys in the fastest product there is.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LayerCache:
    """Keys and values of one layer; with rotary positions the keys are already turned."""

    key_HBKS: Tensor
    value_HBSK: Tensor

    @classmethod
    def empty(cls, like: Tensor, *, heads: int, batch_size: int, slots: int, width: int) -> "LayerCache":
        """Make a cache with the dtype and on the device of ``like``."""
        return cls(
            like.new_zeros(heads, batch_size, width, slots),
            like.new_zeros(heads, batch_size, slots, width),
        )

    @property
    def num_slots(self) -> int:
        """Tokens that fit before the oldest is overwritten."""
        return self.key_HBKS.shape[3]

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        return self.key_HBKS.nbytes + self.value_HBSK.nbytes

    def fill(self, key_BHTK: Tensor, value_BHTK: Tensor) -> None:
        """Store the last S of T tokens, the first of which is number 0."""
        num_tokens, dtype = key_BHTK.shape[2], self.key_HBKS.dtype
        kept = torch.arange(max(0, num_tokens - self.num_slots), num_tokens, device=key_BHTK.device)
        slots = kept % self.num_slots
        self.key_HBKS[..., slots] = key_BHTK[:, :, kept].permute(1, 0, 3, 2).to(dtype)
        self.value_HBSK[:, :, slots] = value_BHTK[:, :, kept].transpose(0, 1).to(dtype)

    def store(self, slot: int, key_HBK: Tensor, value_HBK: Tensor) -> None:
        """Store one token a row."""
        self.key_HBKS.select(3, slot).copy_(key_HBK)
        self.value_HBSK.select(2, slot).copy_(value_HBK)
