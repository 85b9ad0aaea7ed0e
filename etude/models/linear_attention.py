"""Causal linear attention, chunk by chunk for training, and with a state of constant size for reading on.

Dimension key:  B batch   H heads   T tokens   K width of one head   W = K + 1: a value, and a 1 beside it
                N chunks   C tokens of one chunk   E = 3HK

    out[i] = sum_j f(q_i).f(k_j) v_j / (sum_j f(q_i).f(k_j) + EPS)   for j <= i

The 1 beside each value makes the denominator a column of the numerator. A chunk sums its keys with its values,
C x K to K x W; a running sum of these in float32 is the state before each chunk; what a token sees in its own chunk
is added as a C x C product. The backward pass is the same with the running sum from the end. On a CPU a row is done
part by part, each small enough for the caches, with the state handed on. Time and memory grow with T alone.

Features, sums over chunks and the division are float32, or made in float32 and rounded once. Products run in
bfloat16 if the inputs are bfloat16; float16 ones run in float32, since sums of features leave its range.

Source:
    Katharopoulos et al. 2020, Transformers are RNNs, section 3.4, for the formula; chunks as in Hua et al. 2022,
    Transformer Quality in Linear Time.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from etude.models.linear_features import FEATURE_MAPS, FeatureMap
from etude.models.precision import sum_dtype
from etude.models.segments import Segments

EPS = 1e-6
"""Added to the sum of weights; only a query or keys without features notice."""

_VALUES_AT_ONCE = 2**19
"""On a CPU: heads x tokens x width of one part of the work, a few of which fit into its caches."""


def linear_attention(qkv_BTE: Tensor, num_heads: int, feature_map: str, segments: Segments | None = None) -> Tensor:
    """Attend to all earlier tokens in time that grows with T alone.

    Args:
        qkv_BTE: all queries, all keys, all values of each token, each head by head.
        num_heads: heads H.
        feature_map: a name in ``FEATURE_MAPS``.
        segments: pieces side by side in a row, which do not see each other; None if a row is one piece.

    Returns:
        ``out_BTD`` (B, T, HK), in the dtype of the input.
    """
    # a fused kernel for a device that has one would be chosen here, and nowhere else
    return _LinearAttention.apply(qkv_BTE, num_heads, FEATURE_MAPS[feature_map], segments)


@torch.no_grad()
def attend_on(qkv_BTE: Tensor, num_heads: int, feature_map: str, state_BHKW: Tensor) -> Tensor:
    """Attend to what ``state_BHKW`` holds and within the new tokens, and add these to it, in place.

    Args:
        qkv_BTE: as for ``linear_attention``.
        num_heads: heads H.
        feature_map: a name in ``FEATURE_MAPS``.
        state_BHKW: sums over all tokens so far of features of the key times value and 1; zeros before the first.
    """
    qkv_BT3HK, out_BTHK = _by_head(qkv_BTE, num_heads)
    with torch.autocast(qkv_BTE.device.type, enabled=False):
        for rows, spans in _parts(qkv_BT3HK):
            state = state_BHKW[rows]
            for span in spans:
                inputs = _chunked(qkv_BT3HK[rows, span], FEATURE_MAPS[feature_map])
                _, after = _attend(inputs, _Reach.of(inputs, None, rows, span), state, out_BTHK[rows, span])
                state.copy_(after)
    return out_BTHK.flatten(2)


class _LinearAttention(torch.autograd.Function):
    """Keeps the features, the values, the output and its denominators, and the state before each part."""

    @staticmethod
    def forward(ctx, qkv_BTE: Tensor, num_heads: int, feature_map: FeatureMap, segments: Segments | None):
        qkv_BT3HK, out_BTHK = _by_head(qkv_BTE, num_heads)
        kept = []
        with torch.autocast(qkv_BTE.device.type, enabled=False):
            for rows, spans in _parts(qkv_BT3HK):
                state = None
                for span in spans:
                    inputs = _chunked(qkv_BT3HK[rows, span], feature_map)
                    before = inputs.no_state() if state is None else state
                    reach = _Reach.of(inputs, segments, rows, span)
                    below, state = _attend(inputs, reach, before, out_BTHK[rows, span])
                    kept += [*inputs, below, before]
        out_BTD = out_BTHK.flatten(2)
        ctx.save_for_backward(out_BTD, *kept)
        ctx.num_heads, ctx.feature_map, ctx.segments = num_heads, feature_map, segments
        return out_BTD

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_BTD: Tensor):
        out_BTD, *kept = ctx.saved_tensors
        grad_BTHK, out_BTHK = (x.unflatten(-1, (ctx.num_heads, -1)) for x in (grad_BTD, out_BTD))
        grad_BT3HK = grad_BTHK.new_empty(*grad_BTHK.shape[:2], 3, *grad_BTHK.shape[2:])
        parts = [(rows, list(spans)) for rows, spans in _parts(grad_BT3HK)]
        with torch.autocast(grad_BTD.device.type, enabled=False):
            for rows, spans in reversed(parts):
                grad_state = None
                for span in reversed(spans):
                    kept, (*inputs, below, before) = kept[:-5], kept[-5:]
                    inputs = _Inputs(*inputs)
                    reach = _Reach.of(inputs, ctx.segments, rows, span)
                    grad_sums = _grad_of_sums(grad_BTHK[rows, span], out_BTHK[rows, span], below, inputs.value)
                    after = inputs.no_state() if grad_state is None else grad_state
                    grads, grad_state = _gradients(inputs, reach, before, after, grad_sums)
                    _write_back(grads, inputs, ctx.feature_map, grad_BT3HK[rows, span])
        return grad_BT3HK.flatten(2), None, None, None


class _Inputs(NamedTuple):
    """Features of queries and keys (B, H, N, C, K), values and a 1 (B, H, N, C, W); zeros past the last token."""

    query: Tensor
    key: Tensor
    value: Tensor

    def no_state(self) -> Tensor:
        """Return the state before the first token."""
        shape = *self.key.shape[:2], self.key.shape[-1], self.value.shape[-1]
        return self.key.new_zeros(shape, dtype=sum_dtype(self.key))


def _by_head(qkv_BTE: Tensor, num_heads: int) -> tuple[Tensor, Tensor]:
    """Return the inputs as (B, T, 3, H, K), and room for what they find, (B, T, H, K)."""
    qkv_BT3HK = qkv_BTE.unflatten(-1, (3, num_heads, -1))
    return qkv_BT3HK, torch.empty_like(qkv_BT3HK[:, :, 0], memory_format=torch.contiguous_format)


def _in_turn(x: Tensor) -> bool:
    # small parts stay in a processor's caches; an accelerator wants all at once, and waits for each small kernel
    return x.device.type == "cpu"


def _chunk_size(dtype: torch.dtype) -> int:
    return 128 if dtype == torch.bfloat16 else 64


def _parts(x_BT3HK: Tensor) -> Iterator[tuple[slice, list[slice]]]:
    """Yield rows that are done together, and the spans of tokens that are done one after the other."""
    batch, num_tokens, _, num_heads, width = x_BT3HK.shape
    rows, tokens = batch, num_tokens
    if _in_turn(x_BT3HK):
        size = _chunk_size(x_BT3HK.dtype)
        tokens = max(1, _VALUES_AT_ONCE // (num_heads * width * size)) * size
        rows = max(1, tokens // num_tokens)
    for row in range(0, batch, max(1, rows)):
        yield slice(row, row + rows), [slice(first, first + tokens) for first in range(0, num_tokens, tokens)]


def _chunked(qkv_BT3HK: Tensor, feature_map: FeatureMap) -> _Inputs:
    batch, num_tokens, _, num_heads, width = qkv_BT3HK.shape
    dtype = torch.float32 if qkv_BT3HK.dtype == torch.float16 else qkv_BT3HK.dtype
    size = min(_chunk_size(dtype), num_tokens)
    missing = -num_tokens % size
    query, key, value = qkv_BT3HK.permute(2, 0, 3, 1, 4)
    # dense first: a map goes over its inputs several times
    query, key = (feature_map.features(x.to(dtype, memory_format=torch.contiguous_format)) for x in (query, key))
    with_1 = value.new_ones(batch, num_heads, num_tokens, width + 1, dtype=dtype)
    with_1[..., :width] = value
    padded = (F.pad(x, (0, 0, 0, missing)) if missing else x for x in (query, key, with_1))
    return _Inputs(*(x.unflatten(2, (-1, size)) for x in padded))


class _Reach(NamedTuple):
    """Who sees whom, if not all what came before: then each its own segment.

    Attributes:
        within: bool (B, 1, N, C, C), a token and those of its chunk that it sees.
        back: (B, 1, N, C, 1), 1 for tokens that see the state before their chunk.
        on: (B, 1, N, C, 1), 1 for tokens that the state after their chunk has.
        states: (B, 1, N + 1, N + 1), 1 where a state has the chunk before another state.
    """

    within: Tensor | None = None
    back: Tensor | None = None
    on: Tensor | None = None
    states: Tensor | None = None

    @classmethod
    def of(cls, inputs: _Inputs, segments: Segments | None, rows: slice, span: slice) -> "_Reach":
        """Make it for some tokens of some rows."""
        if segments is None:
            return cls()
        num_chunks, size = inputs.key.shape[2:4]
        number_BT = segments.number_BT[rows]
        first = number_BT[:, max(0, span.start - 1)]
        number_BT = number_BT[:, span]
        # what stands past the last token has no features, so any number will do
        number = F.pad(number_BT, (0, num_chunks * size - number_BT.shape[1])).unflatten(1, (num_chunks, size))
        last = torch.cat([first[:, None], number[:, :, -1]], dim=1)
        within = (number[..., :, None] == number[..., None, :]).tril()
        back, on = ((number == ends[..., None])[:, None, ..., None] for ends in (last[:, :-1], last[:, 1:]))
        states = (last[:, :, None] == last[:, None, :]).tril()
        return cls(within[:, None], back.to(inputs.key.dtype), on.to(inputs.key.dtype), states[:, None])


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


def _within(product: Tensor, reach: _Reach) -> Tensor:
    """Set to 0, in place, what a token of a chunk does not see."""
    return product.tril_() if reach.within is None else product.mul_(reach.within)


def _product(left: Tensor, right: Tensor, plus: Tensor | None = None) -> Tensor:
    """Return the matrix products over the last two of five axes, added to ``plus`` in place if it is given."""
    left, right, shape = left.flatten(0, 2), right.flatten(0, 2), left.shape[:3]
    made = torch.bmm(left, right) if plus is None else plus.flatten(0, 2).baddbmm_(left, right)
    return made.unflatten(0, shape)


def _running(sums: Tensor, reach: _Reach, *, later: bool = False) -> Tensor:
    """Return, for each of the N + 1 places of ``sums``, the sum of those up to it; or from it on, if ``later``."""
    if reach.states is None and _in_turn(sums):
        for place in range(1, sums.shape[2]):
            here, beside = (-1 - place, -place) if later else (place, place - 1)
            sums[:, :, here] += sums[:, :, beside]
        return sums
    num_places = sums.shape[2]
    states = sums.new_ones(1, 1, num_places, num_places).tril() if reach.states is None else reach.states.to(sums.dtype)
    weights = (states.mT if later else states).expand(*sums.shape[:2], -1, -1)
    return torch.matmul(weights, sums.flatten(3)).view(sums.shape)


def _states(inputs: _Inputs, reach: _Reach, before: Tensor) -> Tensor:
    """Return the state before each chunk and after the last, (B, H, N + 1, K, W)."""
    sums = _product(_masked(inputs.key, reach.on).mT, inputs.value)
    return _running(torch.cat([before[:, :, None], sums.to(before.dtype)], dim=2), reach)


def _attend(inputs: _Inputs, reach: _Reach, before: Tensor, out_BTHK: Tensor) -> tuple[Tensor, Tensor]:
    """Write the output; return the denominators (B, H, N, C, 1) and the state after the last token."""
    states = _states(inputs, reach, before)
    found = _product(_masked(inputs.query, reach.back), states[:, :, :-1].to(inputs.query.dtype))
    found = _product(_within(_product(inputs.query, inputs.key.mT), reach), inputs.value, plus=found)
    # operands of one dtype: mixed ones are slow
    found = found.to(states.dtype)
    below = found[..., -1:] + EPS
    quotient = found[..., :-1].div_(below).flatten(2, 3)
    out_BTHK.copy_(quotient[:, :, : out_BTHK.shape[1]].transpose(1, 2))
    return below, states[:, :, -1].clone()


def _grad_of_sums(grad_BTHK: Tensor, out_BTHK: Tensor, below: Tensor, value: Tensor) -> Tensor:
    """Return the gradient of numerators and denominators, (B, H, N, C, W)."""
    num_tokens, width = grad_BTHK.shape[1], grad_BTHK.shape[3]
    made = torch.empty_like(value)
    tokens_BHTW, below_BTH1 = made.flatten(2, 3), below.flatten(2, 3)[:, :, :num_tokens].transpose(1, 2)
    tokens_BHTW[:, :, num_tokens:] = 0
    tokens_BTHW = tokens_BHTW[:, :, :num_tokens].transpose(1, 2)
    tokens_BTHW[..., :width] = grad_BTHK.to(below.dtype) / below_BTH1
    tokens_BTHW[..., width:] = (grad_BTHK * out_BTHK).sum(-1, keepdim=True, dtype=below.dtype).neg_() / below_BTH1
    return made


def _gradients(
    inputs: _Inputs, reach: _Reach, before: Tensor, grad_after: Tensor, grad: Tensor
) -> tuple[_Inputs, Tensor]:
    """Return the gradients of features and values, and of the state before, from those of sums and state after."""
    dtype = inputs.key.dtype
    key_on, query_back = _masked(inputs.key, reach.on), _masked(inputs.query, reach.back)
    states = _states(inputs, reach, before)[:, :, :-1].to(dtype)
    asked = _product(query_back.mT, grad).to(grad_after.dtype)
    wanted = _running(torch.cat([asked, grad_after[:, :, None]], dim=2), reach, later=True)
    after = wanted[:, :, 1:].to(dtype)
    weights = _within(_product(grad, inputs.value.mT), reach)
    query = _product(weights, inputs.key, plus=_masked(_product(grad, states.mT), reach.back))
    key = _product(weights.mT, inputs.query, plus=_masked(_product(inputs.value, after.mT), reach.on))
    products = _within(_product(inputs.query, inputs.key.mT), reach)
    value = _product(products.mT, grad, plus=_product(key_on, after))
    return _Inputs(query, key, value), wanted[:, :, 0].clone()


def _write_back(grads: _Inputs, inputs: _Inputs, feature_map: FeatureMap, grad_BT3HK: Tensor) -> None:
    """Write the gradients of queries, keys and values."""
    num_tokens, width = grad_BT3HK.shape[1], grad_BT3HK.shape[-1]
    query, key, value = grad_BT3HK.permute(2, 0, 3, 1, 4)
    for written, grad, features in ((query, grads.query, inputs.query), (key, grads.key, inputs.key)):
        written.copy_(feature_map.backward(grad, features).flatten(2, 3)[:, :, :num_tokens])
    value.copy_(grads.value.flatten(2, 3)[:, :, :num_tokens, :width])
