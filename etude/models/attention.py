"""Causal self-attention over the last ``window`` tokens, with relative embeddings, rotary positions or neither.

Dimension key:  B batch   H heads   G heads of keys and values   T tokens   K width of one head   D model width

A token sees itself and the ``window - 1`` tokens before it, in training, in a full pass and in cached
decoding alike; a sequence longer than that is therefore well defined, and attention slides.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.models.cache import LayerCache
from etude.models.positions import RelativeEmbeddings, RotaryAngles, split_heads
from etude.models.relative_attention import relative_attention
from etude.models.row_attention import goes_by_rows, row_attention
from etude.models.segments import Segments
from etude.models.settings import DecoderSettings

_BLOCK = 128
"""Queries of one block of a sliding window at least: a shorter window would make many small products."""


class Attention(nn.Module):
    """One attention layer. Rows of ``qkv`` are all queries, all keys, all values, each head by head."""

    def __init__(self, settings: DecoderSettings):
        super().__init__()
        width, kv_width = (heads * settings.head_width for heads in (settings.num_heads, settings.kv_heads))
        self.num_heads, self.kv_heads = settings.num_heads, settings.kv_heads
        self.head_width = settings.head_width
        self.window = settings.window
        # past ctx_len one masked product, as it ever was: the bits of a take rest on it
        self.in_blocks = settings.attention_window is not None
        self.qkv = nn.Linear(settings.model_dim, width + 2 * kv_width, bias=settings.biases)
        self.out = nn.Linear(width, settings.model_dim, bias=settings.biases)
        self.relative = _relative(settings)
        self.rotary = _rotary(settings)

    def forward(self, x_BTD: Tensor, cache: LayerCache | None = None, segments: Segments | None = None) -> Tensor:
        """Attend within ``x_BTD``, or within its segments; an empty ``cache`` is filled with the keys and values."""
        num_tokens, rotary = x_BTD.shape[1], self.rotary
        angles = None if rotary is None else rotary(num_tokens, x_BTD.device)
        interleaved = rotary is not None and rotary.interleaved
        qkv_BTE = self.qkv(x_BTD)
        if cache is None and segments is None and self._is_plain(num_tokens) and goes_by_rows(qkv_BTE):
            attend = _uncompiled(row_attention)
            return self.out(attend(qkv_BTE, self.num_heads, angles, interleaved=interleaved))
        q_BHTK, k_BGTK, v_BGTK = split_heads(
            qkv_BTE, self.num_heads, angles, num_kv_heads=self.kv_heads, interleaved=interleaved
        )
        if cache is not None:
            cache.fill(k_BGTK, v_BGTK)
        shared_by = self.num_heads // self.kv_heads
        k_BHTK, v_BHTK = (x if shared_by == 1 else x.repeat_interleave(shared_by, 1) for x in (k_BGTK, v_BGTK))
        if self.relative is not None:
            table_HTK = self.relative(num_tokens)
            attend = _uncompiled(relative_attention)
            out_BHTK = attend(q_BHTK, k_BHTK, v_BHTK, table_HTK, window=self.window, segments=segments)
        else:
            out_BHTK = self._plain_attention(q_BHTK, k_BHTK, v_BHTK, segments)
        return self.out(out_BHTK.transpose(1, 2).flatten(2))

    def _is_plain(self, num_tokens: int) -> bool:
        return self.relative is None and self.kv_heads == self.num_heads and num_tokens <= self.window

    def _plain_attention(self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, segments: Segments | None) -> Tensor:
        attend = partial(_attention_in_blocks if self.in_blocks else _plain_attention, window=self.window)
        if segments is None:
            return attend(q_BHTK, k_BHTK, v_BHTK)
        if one_segment_at_a_time(q_BHTK):
            return _uncompiled(_attention_by_segment)(attend, q_BHTK, k_BHTK, v_BHTK, segments)
        return F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, attn_mask=segments.seen_B1TT, scale=1.0)


def _uncompiled(function: Callable) -> Callable:
    """Return a function as it is, and to a compiler as one that is none of its business.

    Relative attention and attention by rows write block by block into work space, where a compiler has nothing to fuse,
    and segments are others in every step. As a decorator ``torch.compiler.disable`` would import the compiler, a
    second, for everybody.
    """
    return torch.compiler.disable(function) if torch.compiler.is_compiling() else function


def _relative(settings: DecoderSettings) -> RelativeEmbeddings | None:
    if settings.positions != "relative":
        return None
    return RelativeEmbeddings(
        settings.num_heads, settings.num_distances, settings.head_width, shared=settings.relative_shared
    )


def _rotary(settings: DecoderSettings) -> RotaryAngles | None:
    if settings.positions != "rope":
        return None
    return RotaryAngles(
        settings.head_width,
        settings.rope_base,
        interleaved=settings.rope_pairing == "interleaved",
        scaling=settings.rope_scaling,
        factor=settings.rope_factor,
        ctx_len=settings.ctx_len,
    )


def _plain_attention(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, *, window: int) -> Tensor:
    num_tokens = q_BHTK.shape[2]
    if num_tokens <= window:
        return F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, is_causal=True, scale=1.0)
    seen = torch.ones(num_tokens, num_tokens, dtype=torch.bool, device=q_BHTK.device).tril().triu(1 - window)
    return F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, attn_mask=seen, scale=1.0)


def _attention_in_blocks(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, *, window: int) -> Tensor:
    """Attend in blocks of queries, each to the keys of its own block and of the one before; T x T never exists."""
    num_tokens, size = q_BHTK.shape[2], max(window, _BLOCK)
    if num_tokens <= size:
        return _plain_attention(q_BHTK, k_BHTK, v_BHTK, window=window)
    # rows are the queries of a block, columns the keys of the block before and of its own
    seen = torch.ones(size, 2 * size, dtype=torch.bool, device=q_BHTK.device).tril(size).triu(size + 1 - window)
    queries, keys, values = (x_BHTK.split(size, dim=2) for x_BHTK in (q_BHTK, k_BHTK, v_BHTK))
    found = [_plain_attention(queries[0], keys[0], values[0], window=window)]
    for number in range(1, len(queries)):
        k, v = (torch.cat(blocks[number - 1 : number + 1], dim=2) for blocks in (keys, values))
        q, mask = queries[number], seen[: queries[number].shape[2], : k.shape[2]]
        found.append(F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0))
    # laid out as (B, T, H, K), like the queries
    return torch.cat([part.transpose(1, 2) for part in found], dim=1).transpose(1, 2)


def _attention_by_segment(
    attend: Callable[[Tensor, Tensor, Tensor], Tensor],
    q_BHTK: Tensor,
    k_BHTK: Tensor,
    v_BHTK: Tensor,
    segments: Segments,
) -> Tensor:
    """Attend within each segment as if it were a row of its own: no mask, and no work for what is masked."""
    lengths = [end - start for row in segments.spans for start, end in row]
    cut = (x_BHTK.transpose(1, 2).flatten(0, 1).split(lengths) for x_BHTK in (q_BHTK, k_BHTK, v_BHTK))
    found = [attend(*(part.transpose(0, 1)[None] for part in parts)) for parts in zip(*cut, strict=True)]
    joined = torch.cat([part[0].transpose(0, 1) for part in found])
    return joined.unflatten(0, (len(q_BHTK), -1)).transpose(1, 2)


def one_segment_at_a_time(x: Tensor) -> bool:
    """Whether plain attention goes from segment to segment, or over whole rows with a mask."""
    # an accelerator wants one large product, and must not wait to learn where segments end
    return x.device.type == "cpu"
