"""Decoding: one token a step, few operations a layer.

Dimension key:  B batch   D model width   E = (H + 2G)K rows of the input projection   F inner width
                H heads   G heads of keys and values   K width of one head   S slots   N slots in use
                V vocabulary

Activations are columns (D, B): weights (rows, D) times columns is the fastest product for a few columns, and
no weight is copied or packed. A step then costs little more than reading weights and cache once.

Past ``window`` tokens a cache starts to overwrite its oldest, and attention slides as in a full pass.
Queries that share keys and values meet them in one product of a few rows.

Relative embeddings are read from a table of 2S columns, column j holding distance -j mod S: for a token in
slot s the columns from S - s on are the distances of slots 0, 1, ... in order, wrapped round or not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.models.blocks import Block, activate
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
        conditions_BTC: rows of the table of conditions that the next tokens are read with, of one token or of all.
    """

    layers: list[LayerCache]
    max_tokens: int
    num_tokens: int
    _blocks: list["_BlockStep"]
    _norm: Callable[[Tensor], Tensor]
    _angles: tuple[Tensor, Tensor] | None
    _places_SD: Tensor | None
    conditions_BTC: Tensor | None = None

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
    """Make an empty cache of ``length`` slots, or the model's window if that is less.

    Args:
        model: the decoder; its weights must stay as they are while the cache is in use.
        batch_size: rows decoded side by side.
        length: tokens a row will have in all, prompt included; more are refused.
        exact: compute each row alone, so that it has the same bits in a batch of any size.

    Raises:
        ModelError: positions are learned or sinusoidal, and end before ``length``.
    """
    model.check_length(length)
    if exact:
        return ExactCache([new_cache(model, 1, length) for _ in range(batch_size)])
    settings, weight = model.settings, model.embedding.weight
    size = {"heads": settings.kv_heads, "slots": min(length, settings.window), "width": settings.head_width}
    layers = [LayerCache.empty(weight, batch_size=batch_size, **size) for _ in model.blocks]
    rotary = model.blocks[0].attention.rotary
    return Cache(
        layers=layers,
        max_tokens=length,
        num_tokens=0,
        _blocks=[_BlockStep(block, layer) for block, layer in zip(model.blocks, layers, strict=True)],
        _norm=_column_norm(model.norm),
        _angles=None if rotary is None else rotary(length, weight.device),
        _places_SD=model.places(),
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
    last_BD = model.hidden(ids_BT, cache.layers, None, cache.conditions_BTC)[:, -1]
    return F.linear(last_BD, model.head_weight, model.head_bias).float()


@torch.inference_mode()
def step(model: "Decoder", ids_B: Tensor, cache: Cache | ExactCache) -> Tensor:
    """Append one id to each row; return float32 ``logits_BV`` of the id that follows.

    Raises:
        ValueError: the cache is full.
    """
    if isinstance(cache, ExactCache):
        return torch.cat([step(model, ids_B[row : row + 1], own) for row, own in enumerate(cache.rows)])
    position = cache.count(1)
    x_BD = F.embedding(ids_B, model.embedding.weight)
    if model.conditions is not None:
        x_BD = model.conditions(x_BD, None if cache.conditions_BTC is None else cache.conditions_BTC[:, -1])
    turn_KK = None
    if cache._angles is not None:
        turn_KK = _turn_matrix(model, *(table[position] for table in cache._angles)).to(x_BD.dtype)
    if model.settings.embedding_scale:
        x_BD = x_BD * model.settings.model_dim**0.5
    if cache._places_SD is not None:
        x_BD = x_BD + cache._places_SD[position].to(x_BD.dtype)
    x_DB = x_BD.T.contiguous()
    for block in cache._blocks:
        x_DB = block.step(x_DB, position, turn_KK)
    logits_BV = torch.mm(model.head_weight, cache._norm(x_DB)).T.float()
    return (logits_BV if model.head_bias is None else logits_BV + model.head_bias).contiguous()


class _BlockStep:
    """A block as decoding sees it: its weights, by reference, and its cache."""

    def __init__(self, block: Block, cache: LayerCache):
        attention, feed_forward = block.attention, block.feed_forward
        self.norms = _column_norm(block.attention_norm), _column_norm(block.feed_forward_norm)
        self.pre_norm = block.pre_norm
        self.qkv, self.out = _Columns(attention.qkv), _Columns(attention.out)
        self.up, self.down = _Columns(feed_forward.up), _Columns(feed_forward.down)
        self.kind = feed_forward.kind
        self.heads, self.cache = attention.num_heads, cache
        self.keys, self.values = cache.key_HBKS.flatten(0, 1), cache.value_HBSK.flatten(0, 1)
        self.relative_HKS = None
        if attention.relative is not None:
            self.relative_HKS = _relative_by_slot(attention.relative, cache.num_slots)

    def step(self, x_DB: Tensor, position: int, turn_KK: Tensor | None) -> Tensor:
        """Transform one token a row."""
        attention_norm, feed_forward_norm = self.norms
        if self.pre_norm:
            qkv_EB = self.qkv(attention_norm(x_DB))
            x_DB = self.out.add_to(x_DB, self.attend(qkv_EB, position, turn_KK))
            inner_FB = self.up(feed_forward_norm(x_DB))
            return self.down.add_to(x_DB, activate(inner_FB, self.kind, dim=0))
        x_DB = attention_norm(self.out.add_to(x_DB, self.attend(self.qkv(x_DB), position, turn_KK)))
        return feed_forward_norm(self.down.add_to(x_DB, activate(self.up(x_DB), self.kind, dim=0)))

    def attend(self, qkv_EB: Tensor, position: int, turn_KK: Tensor | None) -> Tensor:
        """Store keys and values of one token a row; return what its queries find, (HK, B)."""
        kv_heads, batch, width, num_slots = self.cache.key_HBKS.shape
        heads, shared_by = self.heads, self.heads // kv_heads
        slot, used, scale = position % num_slots, min(position + 1, num_slots), width**-0.5
        qkv = qkv_EB.view(heads + 2 * kv_heads, width, batch).mT
        qk = qkv[: heads + kv_heads].reshape((heads + kv_heads) * batch, width)
        if turn_KK is not None:
            qk = torch.mm(qk, turn_KK)
        qk_HBK = qk.view(-1, batch, width)
        q_HBK = qk_HBK[:heads]
        self.cache.store(slot, qk_HBK[heads:], qkv[heads + kv_heads :])
        q, keys, values = self._by_key(q_HBK), self.keys[:, :, :used], self.values[:, :used]
        if self.relative_HKS is None:
            # beta = 0: the first argument is not read
            logits = torch.baddbmm(q[..., :1], q, keys, beta=0.0, alpha=scale)
        else:
            start = num_slots - slot
            by_distance = torch.bmm(q_HBK, self.relative_HKS[:, :, start : start + used])
            logits = torch.baddbmm(self._by_key(by_distance), q, keys, beta=scale, alpha=scale)
        found = torch.bmm(torch.softmax(logits, dim=-1), values)
        if shared_by > 1:
            found = found.view(kv_heads, batch, shared_by, width).transpose(1, 2)
        return found.reshape(heads, batch, width).mT.reshape(heads * width, batch)

    def _by_key(self, x_HBX: Tensor) -> Tensor:
        """Bring rows of queries to the keys they share: (H, B, X) to (G * B, H / G, X)."""
        heads, batch, size = x_HBX.shape
        kv_heads = self.cache.key_HBKS.shape[0]
        if heads == kv_heads:
            return x_HBX.view(-1, 1, size)
        return x_HBX.view(kv_heads, -1, batch, size).transpose(1, 2).reshape(kv_heads * batch, -1, size)


class _Columns:
    """A linear layer on columns (D, B)."""

    def __init__(self, linear: nn.Linear):
        self.weight = linear.weight.detach()
        self.bias_D1 = None if linear.bias is None else linear.bias.detach()[:, None]

    def __call__(self, x_DB: Tensor) -> Tensor:
        return torch.mm(self.weight, x_DB) if self.bias_D1 is None else torch.addmm(self.bias_D1, self.weight, x_DB)

    def add_to(self, x_DB: Tensor, y_DB: Tensor) -> Tensor:
        """Return ``x_DB`` and the layer's output for ``y_DB`` added."""
        return torch.addmm(x_DB if self.bias_D1 is None else x_DB + self.bias_D1, self.weight, y_DB)


@torch.no_grad()
def _relative_by_slot(relative: RelativeEmbeddings, num_slots: int) -> Tensor:
    """Return the table (H, K, 2S) of the module's header."""
    table_HSK = relative(num_slots)
    distance = -torch.arange(2 * num_slots, device=table_HSK.device) % num_slots
    return table_HSK[:, distance].expand(relative.num_heads, -1, -1).mT.contiguous()


def _turn_matrix(model: "Decoder", cos_K: Tensor, sin_K: Tensor) -> Tensor:
    """Return the matrix that turns rows (..., K) by the angles of one position."""
    if model.settings.rope_pairing == "half":
        return torch.diag(cos_K).add_(torch.diag(sin_K).roll(len(sin_K) // 2, dims=0))
    return torch.diag(cos_K).add_(torch.diag(sin_K).unflatten(0, (-1, 2)).flip(1).flatten(0, 1))


def _column_norm(norm: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return what normalises columns (D, B) as ``norm`` does rows."""
    if isinstance(norm, nn.Identity):
        return norm
    if isinstance(norm, nn.LayerNorm):
        return lambda x_DB: F.layer_norm(x_DB.T, norm.normalized_shape, norm.weight, norm.bias, norm.eps).T
    # x / sqrt(|x|^2 / D + eps) * w  =  x * (w sqrt(D)) / hypot(|x|, sqrt(D eps)): four small operations
    width = len(norm.weight)
    floor_1 = norm.weight.new_tensor([(width * norm.eps) ** 0.5])
    gain_D1 = norm.weight.detach()[:, None] * width**0.5
    return lambda x_DB: torch.mul(x_DB, gain_D1).div_(torch.hypot(torch.linalg.vector_norm(x_DB, dim=0), floor_1))
