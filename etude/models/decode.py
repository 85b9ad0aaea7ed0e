"""Decoding with a cache: one token a step, few operations a layer.

Dimension key:  B batch   D model width   E = 3HK rows of the input projection   F inner width
                H heads   K width of one head   S slots   N slots in use   V vocabulary

Activations are columns (D, B): weights (rows, D) times columns is the fastest product of a few rows, and
no weight is copied or packed. What a step costs is then reading the weights and the cache once.

Relative embeddings are read from a table of 2S columns, column j holding distance -j mod S: for a token in
slot s the columns from S - s on are the distances of slots 0, 1, ... in order, wrapped round or not.
"""

from functools import partial
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.models.blocks import EPS, Block, activate
from etude.models.cache import Cache, ExactCache, Layer
from etude.models.positions import RelativeEmbeddings, RotaryAngles

if TYPE_CHECKING:
    from etude.models.decoder import Decoder


def new_cache(model: "Decoder", batch_size: int, length: int, *, exact: bool = False) -> Cache | ExactCache:
    """Make an empty cache.

    Args:
        model: the decoder; its weights must stay as they are while the cache is in use.
        batch_size: rows decoded side by side.
        length: tokens a row will have in all, prompt included; more are refused.
        exact: compute each row alone, so that it has the same bits in a batch of any size.
    """
    if exact:
        return ExactCache([new_cache(model, 1, length) for _ in range(batch_size)])
    settings, weight = model.settings, model.embedding.weight
    slots, heads, width = min(length, settings.ctx_len), settings.num_heads, settings.head_width
    layers = [
        Layer(
            attention_norm=_column_norm(block.attention_norm),qkv=block.attention.qkv.weight,out=block.attention.out.weight,
            feed_forward_norm=_column_norm(block.feed_forward_norm),up=block.feed_forward.up.weight,down=block.feed_forward.down.weight,
            activate=partial(activate,kind=settings.feed_forward,dim=0),
            key_HBKS=weight.new_zeros(heads, batch_size, width, slots),
            value_HBSK=weight.new_zeros(heads, batch_size, slots, width),
            relative_HKS=_relative_by_slot(block.attention.relative, slots),
        )
        for block in model.blocks
    ]
    return Cache(layers, _decoding_angles(model.blocks[0].attention.rotary, length, weight), length)


@torch.no_grad()
def _relative_by_slot(relative: RelativeEmbeddings | None, num_slots: int) -> Tensor | None:
    if relative is None:
        return None
    table_HSK = relative(num_slots)
    distance = -torch.arange(2 * num_slots, device=table_HSK.device) % num_slots
    return table_HSK[:, distance].mT.contiguous()


def _decoding_angles(rotary: RotaryAngles | None, length: int, like: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return cosines and sines (length, 2, 1, K, 1), those of queries divided by sqrt(K)."""
    if rotary is None:
        return None
    scale = torch.tensor([rotary.head_width**-0.5, 1.0], device=like.device).view(2, 1, 1, 1)
    cos, sin = (table[:, None, None, :, None] * scale for table in rotary(length, like.device))
    return cos.to(like.dtype), sin.to(like.dtype)


@torch.inference_mode()
def prefill(model: "Decoder", ids_BT: Tensor, cache: Cache | ExactCache) -> Tensor:
    """Read a prompt into an empty cache; return float32 ``logits_BV`` of the id that follows.

    Raises:
        ValueError: the cache is not empty, or too short.
    """
    if isinstance(cache, ExactCache):
        return torch.cat([prefill(model, ids_BT[row : row + 1], own) for row, own in enumerate(cache.rows)])
    if cache.num_tokens:
        raise ValueError(f"prefill needs an empty cache; this one holds {cache.num_tokens} tokens")
    cache.count(ids_BT.shape[1])
    last_BD = model.hidden(ids_BT, cache)[:, -1]
    return F.linear(last_BD, model.head_weight).float()


@torch.inference_mode()
def step(model: "Decoder", ids_B: Tensor, cache: Cache | ExactCache) -> Tensor:
    """Append one id to each row; return float32 ``logits_BV`` of the id that follows.

    Raises:
        ValueError: the cache is full.
    """
    if isinstance(cache, ExactCache):
        return torch.cat([step(model, ids_B[row : row + 1], own) for row, own in enumerate(cache.rows)])
    position = cache.num_tokens
    cache.count(1)
    slot, used = position % cache.num_slots, min(position + 1, cache.num_slots)
    angles = None if cache.angles is None else (cache.angles[0][position], cache.angles[1][position])
    x_DB = F.embedding(ids_B, model.embedding.weight).T.contiguous()
    for layer in cache.layers:
        qkv_EB = torch.mm(layer.qkv, layer.attention_norm(x_DB))
        attended_EB = _attend(layer, qkv_EB, slot, used, angles)
        x_DB = torch.addmm(x_DB, layer.out, attended_EB)
        inner_FB = torch.mm(layer.up, layer.feed_forward_norm(x_DB))
        x_DB = torch.addmm(x_DB, layer.down, layer.activate(inner_FB))
    return torch.mm(model.head_weight, _column_norm(model.norm)(x_DB)).T.float().contiguous()


def _attend(layer: Layer, qkv_EB: Tensor, slot: int, used: int, angles: tuple[Tensor, Tensor] | None) -> Tensor:
    """Store the keys and values of one token a row; return what its queries find (HK, B)."""
    heads, batch, width, num_slots = layer.shape
    qkv = qkv_EB.view(3, heads, width, batch)
    if angles is None:
        q_HKB, k_HKB, v_HKB = qkv.unbind()
    else:
        q_HKB, k_HKB = _turn(qkv[:2], *angles)
        v_HKB = qkv[2]
    layer.key_HBKS.select(3, slot).copy_(k_HKB.mT)
    layer.value_HBSK.select(2, slot).copy_(v_HKB.mT)
    q = q_HKB.mT.reshape(heads * batch, 1, width)
    keys, values = layer.keys[:, :, :used], layer.values[:, :used]
    if layer.relative_HKS is None:
        logits = torch.bmm(q, keys)
    else:
        start, scale = num_slots - slot, width**-0.5
        by_distance = torch.bmm(q.view(heads, batch, width), layer.relative_HKS[:, :, start : start + used])
        logits = torch.baddbmm(by_distance.view(heads * batch, 1, used), q, keys, beta=scale, alpha=scale)
    attended = torch.bmm(torch.softmax(logits, -1), values)
    return attended.view(heads, batch, width).mT.reshape(heads * width, batch)


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn queries and keys (2, H, K, B) by the angles of one position."""
    two, heads, width, batch = x.shape
    swapped = x.view(two, heads, 2, width // 2, batch).flip(2).view(x.shape)
    return torch.mul(x, cos).addcmul_(swapped, sin)


def _column_norm(norm: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return what normalises columns (D, B) as ``norm`` does rows."""
    if isinstance(norm, nn.LayerNorm):
        return lambda x_DB: F.layer_norm(x_DB.T, norm.normalized_shape, norm.weight, norm.bias, norm.eps).T
    width = len(norm.weight)
    # x / sqrt(|x|^2 / D + EPS) * w  =  x / hypot(|x|, sqrt(D EPS)) * (w sqrt(D)), in four small operations
    floor = norm.weight.new_tensor([(width * EPS) ** 0.5])
    gain_D1 = (norm.weight.detach() * width**0.5)[:, None]
    return lambda x_DB: torch.mul(x_DB, gain_D1).div_(torch.hypot(torch.linalg.vector_norm(x_DB, dim=0), floor))
