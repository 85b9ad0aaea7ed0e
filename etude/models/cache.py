"""What a decoder remembers of the tokens it has seen: keys and values, sized to the request.

Dimension key:  B batch   H heads   S slots   K width of one head   T tokens

Token number t lives in slot ``t % S``. There are as many slots as the request has tokens, at most
``ctx_len``: past that the oldest token makes room, and attention slides as it does in a full pass.
Keys are stored transposed: reading many keys for one query is then the fastest product there is.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Layer:
    """One block's memory, and where it looks up positions.

    Attributes:
        key_HBKS: keys; with rotary positions, already turned.
        value_HBSK: values.
        relative_HKS: relative embeddings by slot, see ``decode.py``; None with rotary positions.
    """

    attention_norm: object
    qkv: Tensor
    out: Tensor
    feed_forward_norm: object
    up: Tensor
    down: Tensor
    activate: object
    key_HBKS: Tensor
    value_HBSK: Tensor
    relative_HKS: Tensor | None
    keys: Tensor = None
    values: Tensor = None
    shape: tuple = None

    def __post_init__(self):
        object.__setattr__(self,'keys',self.key_HBKS.flatten(0,1))
        object.__setattr__(self,'values',self.value_HBSK.flatten(0,1))
        object.__setattr__(self,'shape',tuple(self.key_HBKS.shape))

    def fill(self, key_BHTK: Tensor, value_BHTK: Tensor) -> None:
        """Store the last S of T tokens, the first of which has number 0."""
        num_tokens, num_slots = key_BHTK.shape[2], self.key_HBKS.shape[3]
        kept = torch.arange(max(0, num_tokens - num_slots), num_tokens, device=key_BHTK.device)
        dtype = self.key_HBKS.dtype
        self.key_HBKS[..., kept % num_slots] = key_BHTK[:, :, kept].permute(1, 0, 3, 2).to(dtype)
        self.value_HBSK[:, :, kept % num_slots] = value_BHTK[:, :, kept].transpose(0, 1).to(dtype)


@dataclass
class Cache:
    """The memory of every layer, for a batch of sequences of one length.

    Attributes:
        layers: one per block.
        angles: cosines and sines of rotary positions for queries and keys, each (max_tokens, 2, 1, K, 1).
        max_tokens: tokens the cache was asked for; more are refused.
        num_tokens: tokens seen so far.
    """

    layers: list[Layer]
    angles: tuple[Tensor, Tensor] | None
    max_tokens: int
    num_tokens: int = 0

    @property
    def num_slots(self) -> int:
        """Tokens that fit before the oldest is overwritten."""
        return self.layers[0].key_HBKS.shape[3]

    @property
    def num_bytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(layer.key_HBKS.nbytes + layer.value_HBSK.nbytes for layer in self.layers)

    def count(self, num_new: int) -> None:
        """Count tokens that are about to be stored.

        Raises:
            ValueError: the cache was not made for so many.
        """
        if self.num_tokens + num_new > self.max_tokens:
            raise ValueError(
                f"a cache for {self.max_tokens} tokens holds {self.num_tokens} and cannot take {num_new} more; "
                "ask new_cache for a longer one"
            )
        self.num_tokens += num_new


@dataclass(frozen=True)
class ExactCache:
    """One cache per row: each row is computed alone, so it has the same bits in a batch of any size."""

    rows: list[Cache]

    @property
    def num_tokens(self) -> int:
        """Tokens seen so far."""
        return self.rows[0].num_tokens

    @property
    def num_bytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(row.num_bytes for row in self.rows)
