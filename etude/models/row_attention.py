"""Causal attention in bfloat16 on a CPU: the product of the input projection in, what heads find out.

Dimension key:  B batch   T tokens   H heads   K width of one head   E = 3 H K   M heads and rows of one group

torch's kernel for a CPU is fast forward, and five times slower back. Here the backward pass makes the probabilities
of a block of queries again, by large products and torch's softmax, as ``relative_attention.py`` does; and a group of
rows or heads at a time goes through everything, from the projection's columns to their gradient, so that it stays in
the processor's cache. Products and softmax have bfloat16 inputs and outputs and float32 inside; sums over blocks are
float32. Pairs are turned by a product with the matrix that swaps them: exact, and faster than copies of half a head.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_BLOCK = 512
"""Queries of one block at most."""
_LOGITS_PER_GROUP = 2**22
"""Entries of a group's logits, about: 8 MB."""

Angles = tuple[Tensor, Tensor]


def goes_by_rows(qkv_BTE: Tensor) -> bool:
    """Return whether training goes this way: in bfloat16 on a CPU."""
    is_trained = torch.is_grad_enabled() and qkv_BTE.requires_grad
    return is_trained and qkv_BTE.device.type == "cpu" and qkv_BTE.dtype == torch.bfloat16


def row_attention(qkv_BTE: Tensor, num_heads: int, angles: Angles | None, *, interleaved: bool = False) -> Tensor:
    """Attend to all earlier tokens of a row.

    Args:
        qkv_BTE: all queries, all keys, all values of each token, each head by head.
        num_heads: heads H.
        angles: ``RotaryAngles`` of the T positions, by which queries and keys are turned; None for no turn.
        interleaved: features 2i and 2i + 1 turn together, as the angles have them.

    Returns:
        What heads find (B, T, H * K), head by head.
    """
    return _RowAttention.apply(qkv_BTE, num_heads, interleaved, *(angles or (None, None)))


class _RowAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, qkv_BTE: Tensor, num_heads: int, interleaved: bool, cos_TK, sin_TK):
        batch, num_tokens, columns = qkv_BTE.shape
        turn = _Turn(cos_TK, sin_TK, columns // (3 * num_heads), qkv_BTE.dtype, interleaved)
        out_BTE = qkv_BTE.new_empty(batch, num_tokens, columns // 3)
        groups = []
        for part, found in zip(_groups(qkv_BTE, 3, num_heads), _groups(out_BTE, 1, num_heads), strict=True):
            # (3, rows, heads, T, K), one after the other in memory, and never the input itself
            qkv = part.clone(memory_format=torch.contiguous_format)
            turn.there(qkv[:2])
            found[0] = F.scaled_dot_product_attention(*qkv, is_causal=True, scale=1.0)
            groups.append(qkv)
        ctx.save_for_backward(*groups)
        ctx.turn, ctx.num_heads = turn, num_heads
        return out_BTE

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_BTE: Tensor):
        batch, num_tokens, width = grad_BTE.shape
        dqkv_BTE = grad_BTE.new_empty(batch, num_tokens, 3 * width)
        parts = zip(
            ctx.saved_tensors,
            _groups(grad_BTE, 1, ctx.num_heads),
            _groups(dqkv_BTE, 3, ctx.num_heads),
            strict=True,
        )
        space = _Space()
        with torch.autocast("cpu", enabled=False):
            for qkv, grad, found in parts:
                gradients = torch.empty_like(qkv)
                _add_up(*(x.flatten(0, 1) for x in (*qkv, grad[0].contiguous(), *gradients)), space=space)
                ctx.turn.back(gradients[:2])
                found.copy_(gradients)
        return dqkv_BTE, None, None, None, None


def _groups(x_BTE: Tensor, kinds: int, num_heads: int) -> Iterator[Tensor]:
    """View columns of so many kinds as (kinds, rows, heads, T, K), a few rows or heads of one row at a time."""
    batch, num_tokens, _ = x_BTE.shape
    x = x_BTE.unflatten(2, (kinds, num_heads, -1)).permute(2, 0, 3, 1, 4)
    size = max(1, _LOGITS_PER_GROUP // (num_tokens * min(num_tokens, _BLOCK)))
    rows = max(1, size // num_heads)
    heads = max(n for n in range(1, min(size, num_heads) + 1) if num_heads % n == 0)
    for row in range(0, batch, rows):
        for head in range(0, num_heads, heads):
            yield x[:, row : row + rows, head : head + heads]


class _Turn:
    """The turn of queries and keys by their positions, and the scale of queries, in place.

    Turned and scaled features are ``x * cos + swapped * sin``; what undoes the turn of a gradient has ``-sin``.
    """

    def __init__(self, cos_TK: Tensor | None, sin_TK: Tensor | None, width: int, dtype: torch.dtype, interleaved: bool):
        self._scale = width**-0.5
        self._cos = self._sin = self._swap_KK = None
        if cos_TK is None:
            return
        # (2, 1, 1, T, K): of queries, and of keys
        self._cos, self._sin = (
            torch.stack([table * self._scale, table]).to(dtype)[:, None, None] for table in (cos_TK, sin_TK)
        )
        place = torch.arange(width)
        self._swap_KK = torch.zeros(width, width, dtype=dtype)
        self._swap_KK[place, place ^ 1 if interleaved else (place + width // 2) % width] = 1

    def there(self, qk: Tensor) -> None:
        """Turn queries and keys (2, rows, heads, T, K)."""
        self._turn(qk, self._sin)

    def back(self, qk: Tensor) -> None:
        """Turn their gradients back."""
        self._turn(qk, None if self._sin is None else -self._sin)

    def _turn(self, qk: Tensor, sin: Tensor | None) -> None:
        if sin is None:
            qk[0].mul_(self._scale)
            return
        swapped = torch.mm(qk.view(-1, qk.shape[-1]), self._swap_KK).view_as(qk)
        qk.mul_(self._cos).addcmul_(swapped, sin)


class _Space:
    """Memory for one block, taken once and used again by every group that is as large."""

    def __init__(self):
        self._taken: dict[str, Tensor] = {}

    def of(self, name: str, like: Tensor, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """Return a tensor with whatever is there."""
        size = math.prod(shape)
        if name not in self._taken or self._taken[name].numel() < size:
            self._taken[name] = like.new_empty(size, dtype=dtype)
        return self._taken[name][:size].view(shape)

    def future(self, like: Tensor, num_rows: int, num_keys: int) -> Tensor:
        """Return 0 where a query sees a key and -inf where not, (num_rows, num_keys)."""
        name = f"future of {num_rows} and {num_keys}"
        if name not in self._taken:
            everywhere = like.new_full((num_rows, num_keys), float("-inf"))
            self._taken[name] = everywhere.triu(1 + num_keys - num_rows)
        return self._taken[name]


def _add_up(
    q: Tensor, k: Tensor, v: Tensor, grad: Tensor, dq: Tensor, dk: Tensor, dv: Tensor, *, space: _Space
) -> None:
    """Write the gradients of one group; all are (M, T, K)."""
    num_matrices, num_tokens, width = q.shape
    starts = range(0, num_tokens, _BLOCK)
    first = starts[-1]
    if len(starts) > 1:
        sums = space.of("sums", q, 2, num_matrices, num_tokens, width, dtype=torch.float32)
    # the last block sees all keys, so it begins the sums
    for start in reversed(starts):
        end = min(start + _BLOCK, num_tokens)
        shape = num_matrices, end - start, end
        rows, grads, keys = q[:, start:end], grad[:, start:end], k[:, :end]
        p = _probabilities(rows, keys, space, shape)
        dlogits = torch.bmm(grads, v[:, :end].mT, out=space.of("logits", q, *shape))
        if len(starts) == 1:
            torch.bmm(p.mT, grads, out=dv)
        else:
            found = torch.bmm(p.mT, grads)
            sums[1].copy_(found) if start == first else sums[1, :, :end].add_(found)
        torch.ops.aten._softmax_backward_data.out(dlogits, p, -1, p.dtype, grad_input=dlogits)
        if len(starts) == 1:
            torch.bmm(dlogits, keys, out=dq)
            torch.bmm(dlogits.mT, rows, out=dk)
        else:
            dq[:, start:end] = torch.bmm(dlogits, keys)
            found = torch.bmm(dlogits.mT, rows)
            sums[0].copy_(found) if start == first else sums[0, :, :end].add_(found)
    if len(starts) > 1:
        dk.copy_(sums[0])
        dv.copy_(sums[1])


def _probabilities(rows: Tensor, keys: Tensor, space: _Space, shape: tuple[int, int, int]) -> Tensor:
    """Return the softmax of a block of queries that ends where its keys do."""
    # one pass less than to add the future's -inf to the product
    logits = torch.baddbmm(space.future(rows, *shape[1:]), rows, keys.mT, out=space.of("logits", rows, *shape))
    return torch.softmax(logits, dim=-1, out=space.of("probabilities", rows, *shape))
