"""Where a token is: rotary angles, and learned embeddings of distance.

Dimension key:  T tokens   H heads   K width of one head   R distances that have an embedding

Both are relative: a logit depends on the distance between two tokens, never on where the pair stands.
So a model is well defined past ``ctx_len``, where attention slides: see ``attention.py``.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class RotaryAngles(nn.Module):
    """Cosines and sines of rotary position embedding, made on demand and not saved with a model.

    Feature ``i`` of a head turns together with feature ``i + K/2``, by ``position * base ** (-2i/K)``.

    Source:
        Su et al. 2021, RoFormer, section 3.4; the pairing is that of GPT-NeoX and Llama.
    """

    def __init__(self, head_width: int, base: float):
        super().__init__()
        self.head_width = head_width
        self.base = base
        self._tables: tuple[Tensor, Tensor] | None = None

    def forward(self, num_positions: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return ``cos_TK, sin_TK`` (float32) of positions 0 to ``num_positions - 1``.

        The first half of ``sin_TK`` is negated: ``rotated = x * cos + swap_halves(x) * sin``.
        """
        cached = self._tables
        if cached is None or cached[0].shape[0] < num_positions or cached[0].device != device:
            # tables made while scoring serve training later, where autograd refuses inference tensors
            with torch.inference_mode(False):
                self._tables = cached = self._make(num_positions, device)
        return cached[0][:num_positions], cached[1][:num_positions]

    def _make(self, num_positions: int, device: torch.device) -> tuple[Tensor, Tensor]:
        # float64 on the CPU: float32 angles are off by 1e-3 at position 10,000, and MPS has no float64
        exponents = torch.arange(0, self.head_width, 2, dtype=torch.float64) / self.head_width
        angles = torch.outer(torch.arange(num_positions, dtype=torch.float64), self.base**-exponents)
        cos_TK = torch.cat([angles.cos(), angles.cos()], dim=1)
        sin_TK = torch.cat([-angles.sin(), angles.sin()], dim=1)
        return cos_TK.float().to(device), sin_TK.float().to(device)


def split_heads(
    qkv_BTE: Tensor, num_heads: int, angles: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the product of an attention layer's input projection into heads.

    Args:
        qkv_BTE: all queries, all keys, all values of each token, each head by head.
        num_heads: heads H.
        angles: ``RotaryAngles`` of the T positions, by which queries and keys are turned; None for no turn.

    Returns:
        ``q_BHTK``, divided by sqrt(K), ``k_BHTK`` and ``v_BHTK``. Keys and values are contiguous; queries lie as
        (B, T, H, K), since torch's attention lays its output out like them, ready for the next product.
    """
    return _SplitHeads.apply(qkv_BTE, num_heads, *(angles or (None, None)))


class _SplitHeads(torch.autograd.Function):
    """One pass over memory each way, where views, products and their gradients would take a dozen."""

    @staticmethod
    def forward(ctx, qkv_BTE: Tensor, num_heads: int, cos_TK: Tensor | None, sin_TK: Tensor | None):
        ctx.angles = cos_TK, sin_TK
        parts = qkv_BTE.unflatten(-1, (3, num_heads, -1)).permute(2, 0, 3, 1, 4)
        # empty_like keeps the order of axes in memory, so q lies as (B, T, H, K)
        q, k, v = torch.empty_like(parts[0]), *parts[1:].new_empty(2, *parts.shape[1:])
        _turn(parts[0], cos_TK, sin_TK, out=q, scale=q.shape[-1] ** -0.5)
        _turn(parts[1], cos_TK, sin_TK, out=k)
        v.copy_(parts[2])
        return q, k, v

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads_BHTK: Tensor):
        cos_TK, sin_TK = ctx.angles
        batch, num_heads, num_tokens, width = grads_BHTK[0].shape
        grad = grads_BHTK[0].new_empty(batch, num_tokens, 3, num_heads, width)
        parts = grad.permute(2, 0, 3, 1, 4)
        back = None if sin_TK is None else -sin_TK
        _turn(grads_BHTK[0], cos_TK, back, out=parts[0], scale=width**-0.5)
        _turn(grads_BHTK[1], cos_TK, back, out=parts[1])
        parts[2].copy_(grads_BHTK[2])
        return grad.flatten(2), None, None, None


def _turn(x: Tensor, cos_TK: Tensor | None, sin_TK: Tensor | None, *, out: Tensor, scale: float = 1.0) -> None:
    """Write ``scale * x``, turned by the angles, to ``out``; both are (..., T, K)."""
    if cos_TK is None:
        torch.mul(x, scale, out=out) if scale != 1.0 else out.copy_(x)
        return
    cos, sin = (cos_TK * scale).to(x.dtype), (sin_TK * scale).to(x.dtype)
    torch.mul(x, cos, out=out)
    half = x.shape[-1] // 2
    out[..., :half].addcmul_(x[..., half:], sin[:, :half])
    out[..., half:].addcmul_(x[..., :half], sin[:, half:])


class RelativeEmbeddings(nn.Module):
    """One learned vector per distance 0 to R - 1 between a query and an earlier key, per head or shared.

    Distances of R and more use the vector of R - 1.

    Source:
        Huang et al. 2018, Music Transformer, section 3.4; clipping as in Shaw et al. 2018. Row ``r`` is
        distance ``r``; published tables are stored the other way round.
    """

    def __init__(self, num_heads: int, num_distances: int, head_width: int, *, shared: bool):
        super().__init__()
        self.num_heads = num_heads
        self.table_HRK = nn.Parameter(torch.empty(1 if shared else num_heads, num_distances, head_width))

    def forward(self, num_distances: int) -> Tensor:
        """Return the vectors of distances 0 to ``num_distances - 1``; axis 0 has size 1 if shared."""
        known = self.table_HRK.shape[1]
        if num_distances <= known:
            return self.table_HRK[:, :num_distances]
        last_H1K = self.table_HRK[:, -1:]
        return torch.cat([self.table_HRK, last_H1K.expand(-1, num_distances - known, -1)], dim=1)
