"""Causal attention with learned relative embeddings, in query blocks, nothing L x L kept.

Dimension key:  B batch   H heads   T tokens   K width of one head   Q queries of one block
                N keys of one block (up to its last query)   R = T + 1 rows of a descending table

logit[i, j] = q_i . (k_j + e_{i-j}) / sqrt(K) for i - window < j <= i, softmax over j, sum of v_j.

The skew: a block's products with the table, Q x (N+1) in descending distance N ... 0, are read from
entry Q on as a Q x N matrix. Row r has then moved left by Q - r, and its entry j stands for distance
(N - Q + r) - j: that from query to key. No copy is made. Entries that wrapped round are future keys,
which the causal mask removes.

The backward pass makes each block's probabilities again. Memory beyond inputs and gradients is that of
one block. Products run in the dtype of q, softmax and sums over blocks in float32.

Source:
    Huang et al. 2018, Music Transformer, section 3.4.1 (the skew). We differ in blocks and recomputation.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_BLOCK = 256
"""Queries of one block."""


def relative_attention(
    q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, embedding_HTK: Tensor, *, window: int
) -> Tensor:
    """Attend to earlier tokens and to how far back they are.

    Args:
        q_BHTK: queries, not yet scaled.
        k_BHTK: keys.
        v_BHTK: values.
        embedding_HTK: embeddings of distances 0 to T - 1; axis 0 has size H, or 1 if heads share it.
        window: how many tokens a query sees, itself included.

    Returns:
        ``out_BHTK`` in the dtype of ``q_BHTK``.
    """
    # row 0 belongs to distance T, which no pair has; see the skew
    descending_HRK = torch.nn.functional.pad(embedding_HTK.flip(1), (0, 0, 1, 0))
    return _RelativeAttention.apply(q_BHTK, k_BHTK, v_BHTK, descending_HRK, window)


class _RelativeAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, descending_HRK: Tensor, window: int
    ) -> Tensor:
        ctx.save_for_backward(q_BHTK, k_BHTK, v_BHTK, descending_HRK)
        ctx.window = window
        out = torch.empty_like(q_BHTK, memory_format=torch.contiguous_format)
        with torch.autocast(q_BHTK.device.type, enabled=False):
            q, k, v, table = _head_first(q_BHTK, k_BHTK, v_BHTK, descending_HRK)
            for rows, keys in _blocks(q.shape[2], window):
                p = _probabilities(q, k, table, rows, keys, window)
                block = torch.bmm(p, v[:, :, keys].flatten(0, 1))
                out[:, :, rows] = block.unflatten(0, q.shape[:2]).transpose(0, 1)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_BHTK: Tensor):
        q_BHTK, k_BHTK, v_BHTK, descending_HRK = ctx.saved_tensors
        with torch.autocast(q_BHTK.device.type, enabled=False):
            q, k, v, table = _head_first(q_BHTK, k_BHTK, v_BHTK, descending_HRK)
            grad = grad_BHTK.to(q.dtype).transpose(0, 1).contiguous()
            dq = torch.empty_like(q)
            dk, dv = torch.zeros_like(k, dtype=torch.float32), torch.zeros_like(v, dtype=torch.float32)
            dtable = torch.zeros_like(table, dtype=torch.float32)
            for rows, keys in _blocks(q.shape[2], ctx.window):
                _backward_block(q, k, v, table, grad, (dq, dk, dv, dtable), rows, keys, ctx.window)
        dq *= q.shape[-1] ** -0.5
        dtable = dtable.to(descending_HRK.dtype)
        return (
            dq.transpose(0, 1),
            dk.to(q.dtype).transpose(0, 1),
            dv.to(q.dtype).transpose(0, 1),
            dtable,
            None,
        )


def _head_first(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, descending_HRK: Tensor) -> tuple[Tensor, ...]:
    """Scale the queries and put heads before batch, so that a head's table meets all its queries at once."""
    q_HBTK = (q_BHTK * q_BHTK.shape[-1] ** -0.5).transpose(0, 1).contiguous()
    k_HBTK, v_HBTK = k_BHTK.transpose(0, 1).contiguous(), v_BHTK.transpose(0, 1).contiguous()
    return q_HBTK, k_HBTK, v_HBTK, descending_HRK.to(q_BHTK.dtype)


def _blocks(num_tokens: int, window: int) -> list[tuple[slice, slice]]:
    """Pair each block of queries with the keys that any of them sees."""
    starts = range(0, num_tokens, _BLOCK)
    ends = [min(start + _BLOCK, num_tokens) for start in starts]
    return [
        (slice(start, end), slice(max(0, start - window + 1), end))
        for start, end in zip(starts, ends, strict=True)
    ]


def _probabilities(q: Tensor, k: Tensor, table: Tensor, rows: slice, keys: slice, window: int) -> Tensor:
    """Return the softmax (H*B, Q, N) of one block."""
    num_heads, batch, _, _ = q.shape
    num_rows, num_keys = rows.stop - rows.start, keys.stop - keys.start
    q_block = q[:, :, rows]
    skewed = _skew(
        torch.matmul(q_block.flatten(1, 2), table[:, -num_keys - 1 :].mT), batch, num_rows, num_keys
    )
    logits = skewed.flatten(0, 1).baddbmm_(q_block.flatten(0, 1), k[:, :, keys].flatten(0, 1).mT)
    logits.masked_fill_(_hidden(rows, keys, window, q.device), float("-inf"))
    return torch.softmax(logits, dim=-1)


def _skew(products: Tensor, batch: int, num_rows: int, num_keys: int) -> Tensor:
    """View products (H, B*Q, N+1) in descending distance as logits (H, B, Q, N)."""
    flat = products.view(products.shape[0], batch, num_rows * (num_keys + 1))
    return flat[..., num_rows:].unflatten(-1, (num_rows, num_keys))


def _hidden(rows: slice, keys: slice, window: int, device: torch.device) -> Tensor:
    """Mask (Q, N) of the pairs that do not see each other: the future, and what is out of the window."""
    distance = torch.arange(rows.start, rows.stop, device=device)[:, None]
    distance = distance - torch.arange(keys.start, keys.stop, device=device)
    return (distance < 0) | (distance >= window)


def _backward_block(q, k, v, table, grad, grads, rows, keys, window) -> None:
    """Add one block's part to the gradients of queries, keys, values and table."""
    dq, dk, dv, dtable = grads
    num_heads, batch, _, width = q.shape
    num_rows, num_keys = rows.stop - rows.start, keys.stop - keys.start
    q_block, grad_block = q[:, :, rows].flatten(0, 1), grad[:, :, rows].flatten(0, 1)
    k_block, v_block = k[:, :, keys].flatten(0, 1), v[:, :, keys].flatten(0, 1)
    p = _probabilities(q, k, table, rows, keys, window)
    dv[:, :, keys] += torch.bmm(p.mT, grad_block).unflatten(0, (num_heads, batch))
    dp = torch.bmm(grad_block, v_block.mT)
    dlogits = torch._softmax_backward_data(dp, p, -1, p.dtype)
    dproducts = dlogits.new_zeros(num_heads, batch * num_rows, num_keys + 1)
    _skew(dproducts, batch, num_rows, num_keys).copy_(dlogits.unflatten(0, (num_heads, batch)))
    part = table[:, -num_keys - 1 :]
    dq[:, :, rows] = torch.bmm(dlogits, k_block).unflatten(0, (num_heads, batch))
    dq[:, :, rows] += torch.matmul(dproducts, part).view(num_heads, batch, num_rows, width)
    dk[:, :, keys] += torch.bmm(dlogits.mT, q_block).unflatten(0, (num_heads, batch))
    dpart = torch.bmm(dproducts.mT, q[:, :, rows].flatten(1, 2))
    dtable[:, -num_keys - 1 :] += dpart if table.shape[0] > 1 else dpart.sum(0, keepdim=True)
