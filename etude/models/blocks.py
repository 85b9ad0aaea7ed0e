"""The parts of a decoder block: normalisation, feed-forward, and the block itself.

Dimension key:  B batch   T tokens   D model width   F inner width of the feed-forward layer

``rms_norm`` and ``swiglu`` do what torch's composition of small operations does, but keep less for the
backward pass and go over memory fewer times; under autocast they hand over its dtype directly. A compiler sees
the composition instead, and fuses it.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from etude.models.attention import Attention
from etude.models.cache import LayerCache
from etude.models.precision import product_dtype, sum_dtype
from etude.models.segments import Segments
from etude.models.settings import DecoderSettings

_TOKENS_AT_ONCE = 512
"""Of an elementwise pass on a CPU: what is between two passes then stays in its cache."""


class RMSNorm(nn.Module):
    """x / sqrt(mean(x ** 2) + eps) * weight.

    Source:
        Zhang and Sennrich 2019, Root Mean Square Layer Normalization.
    """

    def __init__(self, width: int, eps: float = 1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        if torch.compiler.is_compiling():
            return F.rms_norm(x.float(), self.weight.shape, self.weight.float(), self.eps).to(product_dtype(x))
        return _RMSNorm.apply(x, self.weight, self.eps)


class _RMSNorm(torch.autograd.Function):
    """Keeps its input brought to unit size, in the dtype of products, and the size."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        dtype = product_dtype(x)
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = torch.rsqrt(norm.square_().div_(x.shape[-1]).add_(eps))
        unit = (x * scale).to(dtype)
        ctx.save_for_backward(unit, scale, weight)
        return unit * weight.to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        unit, scale, weight = ctx.saved_tensors
        product = grad * unit
        grad_weight = product.flatten(0, -2).sum(0, dtype=sum_dtype(product))
        mean = torch.mv(product.flatten(0, -2), weight.to(grad.dtype)).div_(unit.shape[-1]).view_as(scale)
        grad_unit = torch.mul(grad, weight.to(grad.dtype), out=product).addcmul_(unit, mean, value=-1)
        return grad_unit * scale, grad_weight.to(weight.dtype), None


class _Swiglu(torch.autograd.Function):
    """silu(gate) * value; keeps its two inputs and makes silu again, some tokens at a time."""

    @staticmethod
    def forward(ctx, gate: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(gate, value)
        inner = gate.new_empty(gate.shape)
        for own, gate_part, value_part in _together(inner, gate, value):
            torch.mul(F.silu(gate_part), value_part, out=own)
        return inner

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        gate, value = ctx.saved_tensors
        grad_gate, grad_value = (x.new_empty(x.shape) for x in (gate, value))
        for own_gate, own_value, one_gate, one_value, one in _together(grad_gate, grad_value, gate, value, grad):
            torch.mul(F.silu(one_gate), one, out=own_value)
            torch.mul(one, one_value, out=own_gate)
            torch.ops.aten.silu_backward.grad_input(own_gate, one_gate, grad_input=own_gate)
        return grad_gate, grad_value


def _together(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """View tensors (..., F) as parts of some tokens on a CPU, elsewhere as wholes; what is written to is contiguous."""
    size = _TOKENS_AT_ONCE if tensors[0].device.type == "cpu" else max(1, tensors[0].shape[:-1].numel())
    return zip(*(x.flatten(0, -2).split(size) for x in tensors), strict=True)


def build_norm(settings: DecoderSettings) -> nn.Module:
    """Build layer normalisation (weight and bias) or root-mean-square normalisation (weight)."""
    kind = nn.LayerNorm if settings.norm == "layer" else RMSNorm
    return kind(settings.model_dim, eps=settings.norm_eps)


class FeedForward(nn.Module):
    """D -> F -> D. With swiglu, rows of ``up`` are F gates, then F values: silu(gate) * value."""

    def __init__(self, settings: DecoderSettings):
        super().__init__()
        self.kind = settings.feed_forward
        self.dropout = settings.inner_dropout
        rows = settings.ff_dim * (2 if self.kind == "swiglu" else 1)
        self.up = nn.Linear(settings.model_dim, rows, bias=settings.biases)
        self.down = nn.Linear(settings.ff_dim, settings.model_dim, bias=settings.biases)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each token, (..., D) to (..., D)."""
        inner = self._gated(x) if self.kind == "swiglu" else activate(self.up(x), self.kind)
        if self.dropout:
            inner = F.dropout(inner, self.dropout, self.training)
        return self.down(inner)

    def _gated(self, x: Tensor) -> Tensor:
        # two products of half the size: glibc gives tensors over 32 MB back to the system each time
        gate_FD, value_FD = self.up.weight.chunk(2)
        gate_F, value_F = (None, None) if self.up.bias is None else self.up.bias.chunk(2)
        if torch.compiler.is_compiling():
            return F.silu(F.linear(x, gate_FD, gate_F)) * F.linear(x, value_FD, value_F)
        return _Swiglu.apply(F.linear(x, gate_FD, gate_F), F.linear(x, value_FD, value_F))


def activate(inner: Tensor, kind: str, *, dim: int = -1) -> Tensor:
    """Apply the activation of a feed-forward layer; gated, ``dim`` shrinks from 2F to F."""
    if kind == "relu":
        return F.relu(inner)
    if kind in ("gelu", "gelu_tanh"):
        return F.gelu(inner, approximate="tanh" if kind == "gelu_tanh" else "none")
    gate, value = inner.chunk(2, dim=dim)
    return F.silu(gate) * value


class Block(nn.Module):
    """Attention, then feed-forward, each added to what went in, with dropout on what is added.

    Pre-norm: x + half(norm(x)); post-norm: norm(x + half(x)).
    """

    def __init__(self, settings: DecoderSettings, layer: int = 0):
        super().__init__()
        self.attention_norm = build_norm(settings)
        self.attention = Attention(settings)
        self.feed_forward_norm = build_norm(settings)
        self.feed_forward = FeedForward(settings)
        self.pre_norm = settings.norm_placement == "pre"
        self.dropout = settings.block_dropout(layer)

    def forward(self, x_BTD: Tensor, cache: LayerCache | None = None, segments: Segments | None = None) -> Tensor:
        """Transform ``x_BTD``, segments apart; an empty ``cache`` is filled."""
        if self.pre_norm:
            x_BTD = x_BTD + self._drop(self.attention(self.attention_norm(x_BTD), cache, segments))
            return x_BTD + self._drop(self.feed_forward(self.feed_forward_norm(x_BTD)))
        x_BTD = self.attention_norm(x_BTD + self._drop(self.attention(x_BTD, cache, segments)))
        return self.feed_forward_norm(x_BTD + self._drop(self.feed_forward(x_BTD)))

    def _drop(self, x_BTD: Tensor) -> Tensor:
        return F.dropout(x_BTD, self.dropout, self.training) if self.dropout else x_BTD
