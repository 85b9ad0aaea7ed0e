"""Decoding with linear attention: one token a step, from a state whose size does not grow.

Dimension key:  B batch   D model width   E = 3HK rows of the input projection   H heads   K width of one head
                W = K + 1: a value, and a 1 beside it   T tokens   V vocabulary

A step adds the features of the key times the value to the state, and multiplies the state by the features of the
query: the same work for the first token and the ten thousandth. States are float32 whatever the weights are.
Activations are columns (D, B), as in ``decode.py``.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.models.blocks import activate
from etude.models.decode import ExactCache
from etude.models.linear_attention import EPS
from etude.models.linear_features import FEATURE_MAPS
from etude.models.precision import sum_dtype

if TYPE_CHECKING:
    from etude.models.linear import LinearBlock, LinearDecoder

_TOKENS_AT_ONCE = 4096
"""A prompt is read in parts of so many tokens, so that its length does not decide the memory."""


@dataclass
class State:
    """What a model of linear attention remembers of a batch of sequences of one length.

    Attributes:
        layers_HBKW: sums of features of keys times values and 1, a layer each; the weights must stay as they are.
        place_B: the place of each row's last token; 0 where nothing is counted yet.
        num_tokens: tokens a sequence has so far; there is no limit.
        conditions_BTC: rows of the table of conditions that the next tokens are read with, of one token or of all.
    """

    layers_HBKW: list[Tensor]
    place_B: Tensor
    num_tokens: int
    _blocks: list["_BlockStep"]
    conditions_BTC: Tensor | None = None

    @property
    def layers_BHKW(self) -> list[Tensor]:
        """The same memory, batch first."""
        return [layer.transpose(0, 1) for layer in self.layers_HBKW]

    @property
    def nbytes(self) -> int:
        """Bytes of all sums."""
        return sum(layer.nbytes for layer in self.layers_HBKW)

    def count(self, num_new: int) -> tuple[Tensor, int]:
        """Count tokens that are about to be added; return the places before them and the highest there can be."""
        self.num_tokens += num_new
        return self.place_B, self.num_tokens


def new_cache(
    model: "LinearDecoder", batch_size: int, length: int | None = None, *, exact: bool = False
) -> State | ExactCache:
    """Make the state of rows that have no tokens yet.

    Args:
        model: the decoder; its weights must stay as they are while the state is in use.
        batch_size: rows decoded side by side.
        length: passed over: other models ask how many tokens a row will have, this one has room for any number.
        exact: compute each row alone, so that it has the same bits in a batch of any size.
    """
    if exact:
        return ExactCache([new_cache(model, 1) for _ in range(batch_size)])
    settings, weight = model.settings, model.embedding.weight
    shape = settings.num_heads, batch_size, settings.head_width, settings.head_width + 1
    layers = [weight.new_zeros(shape, dtype=sum_dtype(weight)) for _ in model.blocks]
    return State(
        layers_HBKW=layers,
        place_B=torch.zeros(batch_size, dtype=torch.long, device=weight.device),
        num_tokens=0,
        _blocks=[_BlockStep(block, layer) for block, layer in zip(model.blocks, layers, strict=True)],
    )


@torch.inference_mode()
def prefill(model: "LinearDecoder", ids_BT: Tensor, cache: State | ExactCache) -> Tensor:
    """Read a prompt, or more of it; return float32 ``logits_BV`` of the id that follows."""
    if isinstance(cache, ExactCache):
        return torch.cat([prefill(model, ids_BT[row : row + 1], own) for row, own in enumerate(cache.rows)])
    parts = ids_BT.split(_TOKENS_AT_ONCE, dim=1)
    told = [cache.conditions_BTC] * len(parts)
    if cache.conditions_BTC is not None and cache.conditions_BTC.shape[1] > 1:
        told = cache.conditions_BTC.split(_TOKENS_AT_ONCE, dim=1)
    for part_BT, told_BTC in zip(parts, told, strict=True):
        last_BD = model.hidden(part_BT, cache, None, told_BTC)[:, -1]
    return F.linear(last_BD, model.head_weight).float()


@torch.inference_mode()
def step(model: "LinearDecoder", ids_B: Tensor, cache: State | ExactCache) -> Tensor:
    """Append one id to each row; return float32 ``logits_BV`` of the id that follows."""
    if isinstance(cache, ExactCache):
        return torch.cat([step(model, ids_B[row : row + 1], own) for row, own in enumerate(cache.rows)])
    told_B1C = None if cache.conditions_BTC is None else cache.conditions_BTC[:, -1:]
    x_DB = model.embed(ids_B[:, None], cache, None, told_B1C)[:, 0].T.contiguous()
    for block in cache._blocks:
        x_DB = block.step(x_DB)
    return torch.mm(model.head_weight, model.norm(x_DB.T).T).T.float().contiguous()


class _BlockStep:
    """A block as decoding sees it: its weights, by reference, and its state."""

    def __init__(self, block: "LinearBlock", state_HBKW: Tensor):
        attention, feed_forward = block.attention, block.feed_forward
        self.norms = block.attention_norm, block.feed_forward_norm
        layers = attention.qkv, attention.out, feed_forward.up, feed_forward.down
        self.qkv, self.out, self.up, self.down = ((_weight(layer), _bias(layer)) for layer in layers)
        self.activation = feed_forward.kind
        self.features = FEATURE_MAPS[attention.feature_map].features
        self.state_HBKW = state_HBKW
        self.state_MKW = state_HBKW.flatten(0, 1)

    def step(self, x_DB: Tensor) -> Tensor:
        """Transform one token a row."""
        attention_norm, feed_forward_norm = self.norms
        found = self.attend(_product(self.qkv, attention_norm(x_DB.T).T))
        x_DB = x_DB + _product(self.out, found)
        inner_FB = _product(self.up, feed_forward_norm(x_DB.T).T)
        return x_DB + _product(self.down, activate(inner_FB, self.activation, dim=0))

    def attend(self, qkv_EB: Tensor) -> Tensor:
        """Add one token a row to the state; return what its queries find there, (HK, B)."""
        heads, batch, width, _ = self.state_HBKW.shape
        qkv = qkv_EB.view(3, heads, width, batch).mT.to(self.state_HBKW.dtype)
        q_MK, k_MK = self.features(qkv[:2].contiguous()).view(2, heads * batch, width)
        value_MW = F.pad(qkv[2].reshape(heads * batch, width), (0, 1), value=1.0)
        self.state_MKW.baddbmm_(k_MK[:, :, None], value_MW[:, None, :])
        found_MW = torch.bmm(q_MK[:, None, :], self.state_MKW)[:, 0]
        quotient = found_MW[:, :width] / (found_MW[:, width:] + EPS)
        return quotient.view(heads, batch, width).mT.reshape(heads * width, batch).to(qkv_EB.dtype)


def _weight(layer: nn.Module) -> Tensor:
    return layer.weight.detach()


def _bias(layer: nn.Module) -> Tensor | None:
    return None if layer.bias is None else layer.bias.detach()[:, None]


def _product(layer: tuple[Tensor, Tensor | None], x_DB: Tensor) -> Tensor:
    """Return what a linear layer makes of columns."""
    weight, bias_D1 = layer
    return torch.mm(weight, x_DB) if bias_D1 is None else torch.addmm(bias_D1, weight, x_DB)
