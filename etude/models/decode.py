"""Decoding with a cache: one token a step, few operations a layer.

Dimension key:  B batch   D model width   H heads   K width of one head   S slots   N slots in use
                V vocabulary

Relative embeddings are read from a table of 2S rows, row j holding distance -j mod S: for a token in slot
s the rows from S - s on are the distances of slots 0, 1, ... in order, wrapped round or not.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from etude.models.blocks import activate
from etude.models.cache import Cache, ExactCache
from etude.models.positions import _turn

if TYPE_CHECKING:
    from etude.models.decoder import Decoder


def new_cache(model: "Decoder", batch_size: int, length: int, *, exact: bool = False) -> Cache | ExactCache:
    """Make an empty cache of at most ``ctx_len`` slots.

    Args:
        model: the decoder; its weights must stay as they are while the cache is in use.
        batch_size: rows decoded side by side.
        length: tokens a row will have in all, prompt included; more are refused.
        exact: compute each row alone, so that it has the same bits in a batch of any size.
    """
    if exact:
        return ExactCache([new_cache(model, 1, length) for _ in range(batch_size)])
    settings, weight = model.settings, model.embedding.weight
    num_slots = min(length, settings.ctx_len)
    shape = (settings.num_heads, batch_size, num_slots, settings.head_width)
    keys, values = ([weight.new_zeros(shape) for _ in model.blocks] for _ in range(2))
    tables = [_slot_table(block.attention.relative, num_slots) for block in model.blocks]
    return Cache(keys, values, tables, num_slots, length)


@torch.no_grad()
def _slot_table(relative, num_slots: int) -> Tensor | None:
    if relative is None:
        return None
    table_HSK = relative(num_slots)
    distance = -torch.arange(2 * num_slots, device=table_HSK.device) % num_slots
    return table_HSK[:, distance].mT.contiguous()


@torch.inference_mode()
def prefill(model: "Decoder", ids_BT: Tensor, cache: Cache | ExactCache) -> Tensor:
    """Read a prompt into an empty cache; return float32 ``logits_BV`` of the id that follows.

    Raises:
        ValueError: if the cache is not empty or too short.
    """
    if isinstance(cache, ExactCache):
        return torch.cat([prefill(model, ids_BT[row : row + 1], own) for row, own in enumerate(cache.rows)])
    if cache.num_tokens:
        raise ValueError(f"prefill needs an empty cache; this one holds {cache.num_tokens} tokens")
    cache.take_slots(ids_BT.shape[1])
    last_BD = model.hidden(ids_BT, cache)[:, -1]
    return F.linear(last_BD, model.head_weight).float()


@torch.inference_mode()
def step(model: "Decoder", ids_B: Tensor, cache: Cache | ExactCache) -> Tensor:
    """Append one id to each row; return float32 ``logits_BV`` of the id that follows."""
    if isinstance(cache, ExactCache):
        return torch.cat([step(model, ids_B[row : row + 1], own) for row, own in enumerate(cache.rows)])
    position = cache.num_tokens
    slot = cache.take_slots(1)
    x_BD = F.embedding(ids_B, model.embedding.weight)
    for layer, block in enumerate(model.blocks):
        x_BD = x_BD + _attend(block.attention, block.attention_norm(x_BD), cache, layer, position, slot)
        x_BD = x_BD + block.feed_forward(block.feed_forward_norm(x_BD))
    return F.linear(model.norm(x_BD), model.head_weight).float()


def _attend(attention, x_BD: Tensor, cache: Cache, layer: int, position: int, slot: int) -> Tensor:
    heads, width = attention.num_heads, attention.head_width
    used = min(position + 1, cache.num_slots)
    q, k, v = attention.qkv(x_BD).view(-1, 3, heads, width).permute(1, 2, 0, 3)
    if attention.rotary is not None:
        cos, sin = attention.rotary(cache.max_tokens, x_BD.device)
        angles = cos[position : position + 1], sin[position : position + 1]
        qq,kk=torch.empty_like(q),torch.empty_like(k)
        _turn(q, *angles,out=qq);_turn(k, *angles,out=kk);q,k=qq,kk
    keys, values = cache.keys[layer], cache.values[layer]
    keys[:, :, slot], values[:, :, slot] = k, v
    q = q * width**-0.5
    logits = q.unsqueeze(2) @ keys[:, :, :used].mT
    if attention.relative is not None:
        start = cache.num_slots - slot
        logits += (q @ cache.tables[layer][:, :, start : start + used]).unsqueeze(2)
    out = torch.softmax(logits, -1) @ values[:, :, :used]
    return attention.out(out.squeeze(2).transpose(0, 1).flatten(1))
