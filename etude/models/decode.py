"""Decoding: one token a step, few operations a layer.

Dimension key:  B batch   D model width   E = 3HK rows of the input projection   F inner width
                H heads   K width of one head   S slots   N slots in use   V vocabulary

Activations are columns (D, B): weights (rows, D) times columns is the fastest product for a few columns, and
no weight is copied or packed. A step then costs little more than reading weights and cache once.

Past ``ctx_len`` tokens a cache starts to overwrite its oldest, and attention slides as in a full pass.

Relative embeddings are read from a table of 2S columns, column j holding distance -j mod S: for a token in
slot s the columns from S - s on are the distances of slots 0, 1, ... in order, wrapped round or not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.models.blocks import EPS, Block, activate
from etude.models.cache import LayerCache
from etude.models.positions import RelativeEmbeddings

if TYPE_CHECKING:
    from etude.models.decoder import Decoder


@dataclass
class Cache:
    """The memory of a decoder for a batch of sequences of one length, sized to a request.

    Attributes:
        layers: keys and values, a layer each.
        max_tokens: tokens a sequence may have; more are refused.
        num_tokens: tokens a sequence has so far.
    """

    layers: list[LayerCache]
    max_tokens: int
    num_tokens: int
    _blocks: list["_BlockStep"]
    _norm: Callable[[Tensor], Tensor]
    _angles: tuple[Tensor, Tensor] | None

    @property
    def nbytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(layer.nbytes for layer in self.layers)

    def count(self, num_new: int) -> int:
        """Count tokens that are about to be stored; return the number of the first.

        Raises:
            ValueError: the cache was not made for so many.
        """
        first = self.num_tokens
        if first + num_new > self.max_tokens:
            raise ValueError(
                f"a cache for {self.max_tokens} tokens holds {first} and cannot take {num_new} more; "
                "ask new_cache for a longer one"
            )
        self.num_tokens += num_new
        return first


@dataclass(frozen=True)
class ExactCache:
    """A cache of its own for each row: computed alone, a row has the same bits in a batch of any size."""

    rows: list[Cache]

    @property
    def num_tokens(self) -> int:
        """Tokens a sequence has so far."""
        return self.rows[0].num_tokens

    @property
    def nbytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(row.nbytes for row in self.rows)


def new_cache(model: "Decoder", batch_size: int, length: int, *, exact: bool = False) -> Cache | ExactCache:
    """Make an empty cache of ``length`` slots, or ``ctx_len`` if that is less.

    Args:
        model: the decoder; its weights must stay as they are while the cache is in use.
        batch_size: rows decoded side by side.
        length: tokens a row will have in all, prompt included; more are refused.
        exact: compute each row alone, so that it has the same bits in a batch of any size.
    """
    if exact:
        return ExactCache([new_cache(model, 1, length) for _ in range(batch_size)])
    settings, weight = model.settings, model.embedding.weight
    size = {"heads": settings.num_heads, "slots": min(length, settings.ctx_len), "width": settings.head_width}
    layers = [LayerCache.empty(weight, batch_size=batch_size, **size) for _ in model.blocks]
    rotary = model.blocks[0].attention.rotary
    return Cache(
        layers=layers,
        max_tokens=length,
        num_tokens=0,
        _blocks=[_BlockStep(block, layer) for block, layer in zip(model.blocks, layers, strict=True)],
        _norm=_column_norm(model.norm),
        _angles=None if rotary is None else rotary(length, weight.device),
    )


@torch.inference_mode()
def prefill(model: "Decoder", ids_BT: Tensor, cache: Cache | ExactCache) -> Tensor:
    """Read a prompt into an empty cache; return float32 ``logits_BV`` of the id that follows.

    Raises:
        ValueError: the cache is not empty, or too short.
    """
    if isinstance(cache, ExactCache):
        return torch.cat([prefill(model, ids_BT[row : row + 1], own) for row, own in enumerate(cache.rows)])
    if cache.count(ids_BT.shape[1]):
        raise ValueError("prefill needs an empty cache; make another with new_cache")
    last_BD = model.hidden(ids_BT, cache.layers)[:, -1]
    return F.linear(last_BD, model.head_weight).float()


@torch.inference_mode()
def step(model: "Decoder", ids_B: Tensor, cache: Cache | ExactCache) -> Tensor:
    """Append one id to each row; return float32 ``logits_BV`` of the id that follows.

    Raises:
        ValueError: the cache is full.
    """
    if isinstance(cache, ExactCache):
        return torch.cat([step(model, ids_B[row : row + 1], own) for row, own in enumerate(cache.rows)])
    position = cache.count(1)
    turn_KK = None if cache._angles is None else _turn_matrix(*(table[position] for table in cache._angles))
    x_DB = F.embedding(ids_B, model.embedding.weight).T.contiguous()
    for block in cache._blocks:
        x_DB = block.step(x_DB, position, turn_KK)
    return torch.mm(model.head_weight, cache._norm(x_DB)).T.float().contiguous()


class _BlockStep:
    """A block as decoding sees it: its weights, by reference, and its cache."""

    def __init__(self, block: Block, cache: LayerCache):
        attention, feed_forward = block.attention, block.feed_forward
        self.norms = _column_norm(block.attention_norm), _column_norm(block.feed_forward_norm)
        self.qkv, self.out = attention.qkv.weight.detach(), attention.out.weight.detach()
        self.up, self.down = feed_forward.up.weight.detach(), feed_forward.down.weight.detach()
        self.kind = feed_forward.kind
        self.cache = cache
        self.keys, self.values = cache.key_HBKS.flatten(0, 1), cache.value_HBSK.flatten(0, 1)
        self.relative_HKS = None
        if attention.relative is not None:
            self.relative_HKS = _relative_by_slot(attention.relative, cache.num_slots)

    def step(self, x_DB: Tensor, position: int, turn_KK: Tensor | None) -> Tensor:
        """Transform one token a row."""
        attention_norm, feed_forward_norm = self.norms
        qkv_EB = torch.mm(self.qkv, attention_norm(x_DB))
        x_DB = torch.addmm(x_DB, self.out, self.attend(qkv_EB, position, turn_KK))
        inner_FB = torch.mm(self.up, feed_forward_norm(x_DB))
        return torch.addmm(x_DB, self.down, activate(inner_FB, self.kind, dim=0))

    def attend(self, qkv_EB: Tensor, position: int, turn_KK: Tensor | None) -> Tensor:
        """Store keys and values of one token a row; return what its queries find, (HK, B)."""
        heads, batch, width, num_slots = self.cache.key_HBKS.shape
        slot, used, scale = position % num_slots, min(position + 1, num_slots), width**-0.5
        qkv = qkv_EB.view(3, heads, width, batch).mT
        qk = qkv[:2].reshape(2 * heads * batch, width)
        if turn_KK is not None:
            qk = torch.mm(qk, turn_KK)
        q_HBK, k_HBK = qk.view(2, heads, batch, width)
        self.cache.store(slot, k_HBK, qkv[2])
        q, keys, values = q_HBK.view(-1, 1, width), self.keys[:, :, :used], self.values[:, :used]
        if self.relative_HKS is None:
            # beta = 0: the first argument is not read
            logits = torch.baddbmm(q[..., :1], q, keys, beta=0.0, alpha=scale)
        else:
            start = num_slots - slot
            by_distance = torch.bmm(q_HBK, self.relative_HKS[:, :, start : start + used])
            logits = torch.baddbmm(by_distance.view(-1, 1, used), q, keys, beta=scale, alpha=scale)
        found = torch.bmm(torch.softmax(logits, dim=-1), values)
        return found.view(heads, batch, width).mT.reshape(heads * width, batch)


@torch.no_grad()
def _relative_by_slot(relative: RelativeEmbeddings, num_slots: int) -> Tensor:
    """Return the table (H, K, 2S) of the module's header."""
    table_HSK = relative(num_slots)
    distance = -torch.arange(2 * num_slots, device=table_HSK.device) % num_slots
    return table_HSK[:, distance].expand(relative.num_heads, -1, -1).mT.contiguous()


def _turn_matrix(cos_K: Tensor, sin_K: Tensor) -> Tensor:
    """Return the matrix that turns rows (..., K) by the angles of one position."""
    return torch.diag(cos_K).add_(torch.diag(sin_K).roll(len(sin_K) // 2, dims=0))


def _column_norm(norm: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return what normalises columns (D, B) as ``norm`` does rows."""
    if isinstance(norm, nn.LayerNorm):
        return lambda x_DB: F.layer_norm(x_DB.T, norm.normalized_shape, norm.weight, norm.bias, norm.eps).T
    # x / sqrt(|x|^2 / D + EPS) * w  =  x * (w sqrt(D)) / hypot(|x|, sqrt(D EPS)): four small operations
    width = len(norm.weight)
    floor_1 = norm.weight.new_tensor([(width * EPS) ** 0.5])
    gain_D1 = norm.weight.detach()[:, None] * width**0.5
    return lambda x_DB: torch.mul(x_DB, gain_D1).div_(torch.hypot(torch.linalg.vector_norm(x_DB, dim=0), floor_1))
