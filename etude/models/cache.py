"""What a decoder remembers of the tokens it has seen: keys and values, sized to the request.

Dimension key:  B batch   H heads   S slots   K width of one head

Token number t lives in slot ``t % S``. There are as many slots as the request has tokens, at most
``ctx_len``: past that the oldest token makes room, and attention slides as it does in a full pass.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Cache:
    """Keys and values of every layer.

    Attributes:
        keys: ``key_HBSK`` of each layer; with rotary positions, already rotated.
        values: ``value_HBSK`` of each layer.
        tables: relative embeddings of each layer in the order of slots, see ``decode.py``, or None.
        num_slots: tokens that fit before the oldest is overwritten.
        num_tokens: tokens seen so far.
        max_tokens: tokens the cache was asked for; more are refused.
    """

    keys: list[Tensor]
    values: list[Tensor]
    tables: list[Tensor | None]
    num_slots: int
    max_tokens: int
    num_tokens: int = field(default=0)

    @property
    def batch_size(self) -> int:
        """Sequences decoded side by side."""
        return self.keys[0].shape[1]

    @property
    def num_bytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(tensor.numel() * tensor.element_size() for tensor in [*self.keys, *self.values])

    def take_slots(self, count: int) -> int:
        """Count more tokens; return the slot of the last one.

        Raises:
            ValueError: if the cache was not made for so many.
        """
        if self.num_tokens + count > self.max_tokens:
            raise ValueError(
                f"a cache for {self.max_tokens} tokens holds {self.num_tokens} and cannot take {count} more; "
                "ask new_cache for a longer one"
            )
        self.num_tokens += count
        return (self.num_tokens - 1) % self.num_slots

    def fill(self, layer: int, key_BHTK: Tensor, value_BHTK: Tensor) -> None:
        """Store the last ``num_slots`` of T tokens in an empty cache; ``take_slots`` counts them."""
        length = key_BHTK.shape[2]
        kept = min(length, self.num_slots)
        slots = torch.arange(length - kept, length, device=key_BHTK.device) % self.num_slots
        for stored, new in ((self.keys[layer], key_BHTK), (self.values[layer], value_BHTK)):
            stored[:, :, slots] = new[:, :, length - kept :].transpose(0, 1).to(stored.dtype)


@dataclass
class ExactCache:
    """One cache per row: each row is computed alone, so a batch of any size gives it the same bits."""

    rows: list[Cache]

    @property
    def num_tokens(self) -> int:
        """Tokens seen so far."""
        return self.rows[0].num_tokens

    @property
    def num_bytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(row.num_bytes for row in self.rows)
