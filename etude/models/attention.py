"""Causal self-attention over the last ``ctx_len`` tokens, with relative embeddings or rotary positions.

Dimension key:  B batch   H heads   T tokens   K width of one head   D model width

A token sees itself and the ``ctx_len - 1`` tokens before it, in training, in a full pass and in cached
decoding alike; a sequence longer than ``ctx_len`` is therefore well defined, and attention slides.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.models.cache import LayerCache
from etude.models.positions import RelativeEmbeddings, RotaryAngles, split_heads
from etude.models.relative_attention import relative_attention
from etude.models.settings import DecoderSettings


class Attention(nn.Module):
    """One attention layer. Rows of ``qkv`` are all queries, all keys, all values, each head by head."""

    def __init__(self, settings: DecoderSettings):
        super().__init__()
        width = settings.num_heads * settings.head_width
        self.num_heads = settings.num_heads
        self.head_width = settings.head_width
        self.window = settings.ctx_len
        self.qkv = nn.Linear(settings.model_dim, 3 * width, bias=False)
        self.out = nn.Linear(width, settings.model_dim, bias=False)
        self.relative = self.rotary = None
        if settings.positions == "relative":
            self.relative = RelativeEmbeddings(
                settings.num_heads,
                settings.num_distances,
                settings.head_width,
                shared=settings.relative_shared,
            )
        else:
            self.rotary = RotaryAngles(settings.head_width, settings.rope_base)

    def forward(self, x_BTD: Tensor, cache: LayerCache | None = None) -> Tensor:
        """Attend within ``x_BTD``; an empty ``cache`` is filled with the keys and values."""
        num_tokens = x_BTD.shape[1]
        angles = None if self.rotary is None else self.rotary(num_tokens, x_BTD.device)
        q_BHTK, k_BHTK, v_BHTK = split_heads(self.qkv(x_BTD), self.num_heads, angles)
        if cache is not None:
            cache.fill(k_BHTK, v_BHTK)
        if self.relative is not None:
            table_HTK = self.relative(num_tokens)
            out_BHTK = relative_attention(q_BHTK, k_BHTK, v_BHTK, table_HTK, window=self.window)
        else:
            out_BHTK = _plain_attention(q_BHTK, k_BHTK, v_BHTK, window=self.window)
        return self.out(out_BHTK.transpose(1, 2).flatten(2))


def _plain_attention(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, *, window: int) -> Tensor:
    num_tokens = q_BHTK.shape[2]
    if num_tokens <= window:
        return F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, is_causal=True, scale=1.0)
    seen = torch.ones(num_tokens, num_tokens, dtype=torch.bool, device=q_BHTK.device).tril().triu(1 - window)
    return F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, attn_mask=seen, scale=1.0)
