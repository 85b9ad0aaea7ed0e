"""The parts of a decoder block: normalisation, feed-forward, and the block itself.

Dimension key:  B batch   T tokens   D model width   F inner width of the feed-forward layer

``rms_norm`` and ``swiglu`` do what torch's composition of small operations does, but keep less for the
backward pass and go over memory fewer times; under autocast they hand over its dtype directly.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from etude.models.attention import Attention
from etude.models.cache import LayerCache
from etude.models.precision import product_dtype, sum_dtype
from etude.models.settings import DecoderSettings

EPS = 1e-5
"""Added to the variance, or the mean square, before its root."""


class RMSNorm(nn.Module):
    """x / sqrt(mean(x ** 2) + EPS) * weight.

    Source:
        Zhang and Sennrich 2019, Root Mean Square Layer Normalization.
    """

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return _RMSNorm.apply(x, self.weight)


class _RMSNorm(torch.autograd.Function):
    """Keeps its input brought to unit size, in the dtype of products, and the size."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        dtype = product_dtype(x)
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = torch.rsqrt(norm.square_().div_(x.shape[-1]).add_(EPS))
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
        return grad_unit * scale, grad_weight.to(weight.dtype)


class _Swiglu(torch.autograd.Function):
    """silu(gate) * value; keeps its two inputs and makes silu again."""

    @staticmethod
    def forward(ctx, gate: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(gate, value)
        return F.silu(gate).mul_(value)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        gate, value = ctx.saved_tensors
        grad_value = F.silu(gate).mul_(grad)
        return torch.ops.aten.silu_backward(grad * value, gate), grad_value


def build_norm(settings: DecoderSettings) -> nn.Module:
    """Build layer normalisation (weight and bias) or root-mean-square normalisation (weight)."""
    return nn.LayerNorm(settings.model_dim, eps=EPS) if settings.norm == "layer" else RMSNorm(settings.model_dim)


class FeedForward(nn.Module):
    """D -> F -> D. With swiglu, rows of ``up`` are F gates, then F values: silu(gate) * value."""

    def __init__(self, settings: DecoderSettings):
        super().__init__()
        self.kind = settings.feed_forward
        gated = self.kind == "swiglu"
        self.up = nn.Linear(settings.model_dim, settings.ff_dim * (2 if gated else 1), bias=False)
        self.down = nn.Linear(settings.ff_dim, settings.model_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each token, (..., D) to (..., D)."""
        if self.kind == "swiglu":
            # two products of half the size: glibc gives tensors over 32 MB back to the system each time
            gate_FD, value_FD = self.up.weight.chunk(2)
            return self.down(_Swiglu.apply(F.linear(x, gate_FD), F.linear(x, value_FD)))
        return self.down(activate(self.up(x), self.kind))


def activate(inner: Tensor, kind: str, *, dim: int = -1) -> Tensor:
    """Apply the activation of a feed-forward layer; gated, ``dim`` shrinks from 2F to F."""
    if kind == "relu":
        return F.relu(inner)
    if kind == "gelu":
        return F.gelu(inner)
    gate, value = inner.chunk(2, dim=dim)
    return F.silu(gate) * value


class Block(nn.Module):
    """Pre-norm: x + attention(norm(x)), then x + feed_forward(norm(x)); dropout on what is added."""

    def __init__(self, settings: DecoderSettings):
        super().__init__()
        self.attention_norm = build_norm(settings)
        self.attention = Attention(settings)
        self.feed_forward_norm = build_norm(settings)
        self.feed_forward = FeedForward(settings)
        self.dropout = settings.dropout

    def forward(self, x_BTD: Tensor, cache: LayerCache | None = None) -> Tensor:
        """Transform ``x_BTD``; an empty ``cache`` is filled."""
        x_BTD = x_BTD + self._drop(self.attention(self.attention_norm(x_BTD), cache))
        return x_BTD + self._drop(self.feed_forward(self.feed_forward_norm(x_BTD)))

    def _drop(self, x_BTD: Tensor) -> Tensor:
        return F.dropout(x_BTD, self.dropout, self.training) if self.dropout else x_BTD
