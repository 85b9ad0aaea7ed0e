"""Where a token is: rotary angles, learned embeddings of distance, and embeddings of the place itself.

Dimension key:  T tokens   H heads   G heads of keys and values   K width of one head   D model width
                R distances that have an embedding

Rotary angles and distances are relative: a logit depends on the distance between two tokens, never on where the
pair stands. So a model is well defined past ``ctx_len``, where attention slides: see ``attention.py``. Sinusoids and
learned embeddings of the place are added to the token's own, and end at ``ctx_len``.
"""

import math

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_FAST_TURNS, _SLOW_TURNS = 32.0, 1.0
"""YaRN's alpha and beta: pairs that turn more often in the old context stay, that turn less are slowed down."""


class RotaryAngles(nn.Module):
    """Cosines and sines of rotary position embedding, made on demand and not saved with a model.

    Feature ``i`` of a head turns together with feature ``i + K/2``, or ``2i`` with ``2i + 1`` if ``interleaved``, by
    ``position * base ** (-2i/K)``. ``scaling`` changes these frequencies for a context of ``ctx_len`` that is
    ``factor`` times that of before: ``linear`` divides all by the factor; ``yarn`` those that turn less than once in
    the old context, leaves those that turn more than 32 times, goes in a line between, and sharpens attention.

    Source:
        Su et al. 2021, RoFormer, section 3.4; pairing of halves as in GPT-NeoX and Llama. Chen et al. 2023, Position
        Interpolation; Peng et al. 2023, YaRN, sections 3.2 to 3.4.
    """

    def __init__(
        self,
        head_width: int,
        base: float,
        *,
        interleaved: bool = False,
        scaling: str = "none",
        factor: float = 1.0,
        ctx_len: int = 0,
    ):
        super().__init__()
        self.head_width = head_width
        self.base = base
        self.interleaved = interleaved
        self.scaling = scaling
        self.factor = factor
        self.old_ctx_len = ctx_len / factor
        self._tables: tuple[Tensor, Tensor] | None = None

    def forward(self, num_positions: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return ``cos_TK, sin_TK`` (float32) of positions 0 to ``num_positions - 1``.

        The sine of the first feature of each pair is negated: ``rotated = x * cos + swap_pairs(x) * sin``.
        """
        cached = self._tables
        if cached is None or cached[0].shape[0] < num_positions or cached[0].device != device:
            # tables made while scoring serve training later, where autograd refuses inference tensors
            with torch.inference_mode(False):
                self._tables = cached = self._make(num_positions, device)
        return cached[0][:num_positions], cached[1][:num_positions]

    def _make(self, num_positions: int, device: torch.device) -> tuple[Tensor, Tensor]:
        # float64 on the CPU: float32 angles are off by 1e-3 at position 10,000, and MPS has no float64
        angles = torch.outer(torch.arange(num_positions, dtype=torch.float64, device="cpu"), self._frequencies())
        pair = (
            (lambda a, b: torch.stack([a, b], 2).flatten(1))
            if self.interleaved
            else (lambda a, b: torch.cat([a, b], 1))
        )
        gain = 1.0 + 0.1 * math.log(self.factor) if self.scaling == "yarn" else 1.0
        cos_TK = pair(angles.cos(), angles.cos()) * gain
        sin_TK = pair(-angles.sin(), angles.sin()) * gain
        return cos_TK.float().to(device), sin_TK.float().to(device)

    def _frequencies(self) -> Tensor:
        """Return the angle by which each pair turns from one position to the next, float64 (K/2,)."""
        exponents = torch.arange(0, self.head_width, 2, dtype=torch.float64, device="cpu") / self.head_width
        plain = self.base**-exponents
        if self.scaling == "none":
            return plain
        if self.scaling == "linear":
            return plain / self.factor
        first, last = (self._pair_that_turns(times) for times in (_FAST_TURNS, _SLOW_TURNS))
        first, last = max(math.floor(first), 0), min(math.ceil(last), self.head_width - 1)
        place = torch.arange(len(plain), dtype=torch.float64, device="cpu")
        share = ((place - first) / max(last - first, 1e-3)).clamp(0, 1)
        return torch.lerp(plain, plain / self.factor, share)

    def _pair_that_turns(self, times: float) -> float:
        """Return the number of the pair, as a fraction, that turns so many times in the old context."""
        ratio = self.old_ctx_len / (times * 2 * math.pi)
        return self.head_width * math.log(ratio) / (2 * math.log(self.base))


def split_heads(
    qkv_BTE: Tensor,
    num_heads: int,
    angles: tuple[Tensor, Tensor] | None = None,
    *,
    num_kv_heads: int | None = None,
    interleaved: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the product of an attention layer's input projection into heads.

    Args:
        qkv_BTE: all queries, all keys, all values of each token, each head by head.
        num_heads: heads H of queries.
        angles: ``RotaryAngles`` of the T positions, by which queries and keys are turned; None for no turn.
        num_kv_heads: heads G of keys and values, H by default.
        interleaved: features 2i and 2i + 1 turn together, as the angles have them.

    Returns:
        ``q_BHTK``, divided by sqrt(K), ``k_BGTK`` and ``v_BGTK``. Keys and values are contiguous; queries lie as
        (B, T, H, K), since torch's attention lays its output out like them, ready for the next product.
    """
    num_kv_heads = num_kv_heads or num_heads
    if torch.compiler.is_compiling():
        return _split_plainly(qkv_BTE, num_heads, num_kv_heads, angles, interleaved)
    return _SplitHeads.apply(qkv_BTE, num_heads, num_kv_heads, interleaved, *(angles or (None, None)))


def _split_plainly(
    qkv_BTE: Tensor, num_heads: int, num_kv_heads: int, angles: tuple[Tensor, Tensor] | None, interleaved: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Do what ``_SplitHeads`` does in operations that a compiler fuses."""
    q, k, v = _heads_of(qkv_BTE, num_heads, num_kv_heads)
    if angles is not None:
        cos_TK, sin_TK = (table.to(qkv_BTE.dtype) for table in angles)
        q, k = (x * cos_TK + _swap_pairs(x, interleaved) * sin_TK for x in (q, k))
    return q * q.shape[-1] ** -0.5, k.contiguous(), v.contiguous()


def _swap_pairs(x: Tensor, interleaved: bool) -> Tensor:
    return x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2) if interleaved else torch.cat(x.chunk(2, -1)[::-1], -1)


class _SplitHeads(torch.autograd.Function):
    """One pass over memory each way, where views, products and their gradients would take a dozen."""

    @staticmethod
    def forward(ctx, qkv_BTE: Tensor, num_heads: int, num_kv_heads: int, interleaved: bool, cos_TK, sin_TK):
        ctx.angles, ctx.interleaved = (cos_TK, sin_TK), interleaved
        parts = _heads_of(qkv_BTE, num_heads, num_kv_heads)
        # empty_like keeps the order of axes in memory, so q lies as (B, T, H, K)
        q, k, v = torch.empty_like(parts[0]), *parts[1].new_empty(2, *parts[1].shape)
        _turn(parts[0], cos_TK, sin_TK, out=q, scale=q.shape[-1] ** -0.5, interleaved=interleaved)
        _turn(parts[1], cos_TK, sin_TK, out=k, interleaved=interleaved)
        v.copy_(parts[2])
        return q, k, v

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads: Tensor):
        cos_TK, sin_TK = ctx.angles
        batch, num_heads, num_tokens, width = grads[0].shape
        num_kv_heads = grads[1].shape[1]
        grad = grads[0].new_empty(batch, num_tokens, (num_heads + 2 * num_kv_heads) * width)
        parts = _heads_of(grad, num_heads, num_kv_heads)
        back = None if sin_TK is None else -sin_TK
        _turn(grads[0], cos_TK, back, out=parts[0], scale=width**-0.5, interleaved=ctx.interleaved)
        _turn(grads[1], cos_TK, back, out=parts[1], interleaved=ctx.interleaved)
        parts[2].copy_(grads[2])
        return grad, None, None, None, None, None


def _heads_of(qkv_BTE: Tensor, num_heads: int, num_kv_heads: int) -> list[Tensor]:
    """View queries, keys and values as (B, heads, T, K)."""
    heads = qkv_BTE.unflatten(-1, (num_heads + 2 * num_kv_heads, -1)).transpose(1, 2)
    return list(heads.split([num_heads, num_kv_heads, num_kv_heads], dim=1))


def _turn(
    x: Tensor,
    cos_TK: Tensor | None,
    sin_TK: Tensor | None,
    *,
    out: Tensor,
    scale: float = 1.0,
    interleaved: bool = False,
) -> None:
    """Write ``scale * x``, turned by the angles, to ``out``; both are (..., T, K)."""
    if cos_TK is None:
        torch.mul(x, scale, out=out) if scale != 1.0 else out.copy_(x)
        return
    cos, sin = (cos_TK * scale).to(x.dtype), (sin_TK * scale).to(x.dtype)
    torch.mul(x, cos, out=out)
    half = x.shape[-1] // 2
    first, second = (slice(0, None, 2), slice(1, None, 2)) if interleaved else (slice(half), slice(half, None))
    out[..., first].addcmul_(x[..., second], sin[:, first])
    out[..., second].addcmul_(x[..., first], sin[:, second])


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


class Sinusoids(nn.Module):
    """Sines and cosines of a token's place, made on demand and not saved with a model.

    Feature 2i is ``sin(place * 10000 ** (-2i/D))`` and feature 2i + 1 its cosine.

    Source:
        Vaswani et al. 2017, Attention Is All You Need, section 3.5.
    """

    def __init__(self, num_places: int, width: int):
        super().__init__()
        self.num_places = num_places
        self.width = width
        self._table: Tensor | None = None

    def forward(self, device: torch.device) -> Tensor:
        """Return the vectors of all places, float32 (num_places, D)."""
        if self._table is None or self._table.device != device:
            with torch.inference_mode(False):
                self._table = self._make().to(device)
        return self._table

    def _make(self) -> Tensor:
        exponents = torch.arange(0, self.width, 2, dtype=torch.float64, device="cpu") / self.width
        angles = torch.outer(torch.arange(self.num_places, dtype=torch.float64, device="cpu"), 10_000.0**-exponents)
        return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, : self.width].float()
