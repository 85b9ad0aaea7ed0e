"""The parts of a decoder block: normalisation, feed-forward, and the block itself.

Dimension key:  B batch   T tokens   D model width   F inner width of the feed-forward layer
"""

from torch import Tensor, nn
from torch.nn import functional as F

from etude.models.attention import Attention
from etude.models.cache import Cache
from etude.models.settings import DecoderSettings

EPS = 1e-5
"""Added to the variance, or the mean square, before its root."""


def build_norm(settings: DecoderSettings) -> nn.Module:
    """Build layer normalisation (weight and bias) or root-mean-square normalisation (weight)."""
    kind = nn.LayerNorm if settings.norm == "layer" else nn.RMSNorm
    return kind(settings.model_dim, eps=EPS)


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
        return self.down(activate(self.up(x), self.kind))


def activate(inner: Tensor, kind: str) -> Tensor:
    """Apply the activation of a feed-forward layer, (..., F) or, gated, (..., 2F) to (..., F)."""
    if kind == "relu":
        return F.relu(inner)
    if kind == "gelu":
        return F.gelu(inner, approximate="tanh")
    gate, value = inner.chunk(2, dim=-1)
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

    def forward(self, x_BTD: Tensor, cache: Cache | None = None, layer: int = 0) -> Tensor:
        """Transform ``x_BTD``; see ``Attention.forward`` for the cache."""
        x_BTD = x_BTD + self._drop(self.attention(self.attention_norm(x_BTD), cache, layer))
        return x_BTD + self._drop(self.feed_forward(self.feed_forward_norm(x_BTD)))

    def _drop(self, x_BTD: Tensor) -> Tensor:
        return F.dropout(x_BTD, self.dropout, self.training) if self.dropout else x_BTD
