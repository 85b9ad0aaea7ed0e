"""Causal attention in query blocks, with or without learned relative embeddings; nothing L x L is kept.

Dimension key:  B batch   H heads   T tokens   K width of one head   Q queries of one block
                N keys of one block, up to its last query   R = T + 1 rows of a descending table

    logit[i, j] = q_i . (k_j + e_{i-j})   for i - window < j <= i,   softmax over j,   sum of v_j

The skew: a block's products with the table, Q x (N+1) in descending distance N ... 0, are read from
entry Q on as a Q x N matrix. Row r has then moved left by Q - r, and its entry j stands for distance
(N - Q + r) - j, that from query to key. Nothing is copied. Entries that wrapped round are future keys,
which the causal mask removes.

The backward pass makes each block's probabilities again; work space is that of one block. Products run
in the dtype of q; softmax and sums over blocks in float32.

Source:
    Huang et al. 2018, Music Transformer, section 3.4.1, for the skew; blocks and recomputation are ours.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_BLOCK = 256
"""Queries of one block: products are large enough to run at speed, work space small enough for the cache."""


def block_attention(
    q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, embedding_HTK: Tensor | None = None, *, window: int
) -> Tensor:
    """Attend to earlier tokens.

    Args:
        q_BHTK: queries, scaled.
        k_BHTK: keys.
        v_BHTK: values.
        embedding_HTK: embeddings of distances 0 to T - 1; axis 0 has size H, or 1 if heads share it.
        window: how many tokens a query sees, itself included.

    Returns:
        ``out_BHTK``, laid out as (B, T, H, K).
    """
    table_HRK = None
    if embedding_HTK is not None:
        # row 0 belongs to distance T, which no pair has; see the skew
        descending = F.pad(embedding_HTK.flip(1), (0, 0, 1, 0))
        table_HRK = descending.to(q_BHTK.dtype).expand(q_BHTK.shape[1], -1, -1)
    return _BlockAttention.apply(q_BHTK, k_BHTK, v_BHTK, table_HRK, window)


class _BlockAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, table_HRK: Tensor | None, window: int):
        ctx.save_for_backward(q_BHTK, k_BHTK, v_BHTK, table_HRK)
        ctx.window = window
        batch, num_heads, num_tokens, width = q_BHTK.shape
        out_BHTK = q_BHTK.new_empty(batch, num_tokens, num_heads, width).transpose(1, 2)
        blocks = _Blocks(q_BHTK, table_HRK, window)
        with torch.autocast(q_BHTK.device.type, enabled=False):
            for rows in blocks.sequences:
                q, k, v = (x[rows].flatten(0, 1) for x in (q_BHTK, k_BHTK, v_BHTK))
                for queries, keys in blocks.pairs:
                    p = blocks.probabilities(q, k, queries, keys)
                    out_BHTK[rows, :, queries] = torch.bmm(p, v[:, keys]).unflatten(0, (-1, num_heads))
        return out_BHTK

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_BHTK: Tensor):
        *inputs_BHTK, table = ctx.saved_tensors
        blocks = _Blocks(inputs_BHTK[0], table, ctx.window)
        grads_BHTK = [torch.empty_like(x) for x in inputs_BHTK]
        sums = [x.new_empty(blocks.shape, dtype=torch.float32) for x in inputs_BHTK]
        dtable = None if table is None else torch.zeros_like(table, dtype=torch.float32)
        with torch.autocast(grad_BHTK.device.type, enabled=False):
            for rows in blocks.sequences:
                inputs = [x[rows].flatten(0, 1) for x in (*inputs_BHTK, grad_BHTK)]
                for total in sums:
                    total.zero_()
                for queries, keys in blocks.pairs:
                    _add_gradients(blocks, inputs, queries, keys, sums, dtable)
                for grad, total in zip(grads_BHTK, sums, strict=True):
                    grad[rows].flatten(0, 1).copy_(total)
        return *grads_BHTK, None if table is None else dtable.to(table.dtype), None


def _add_gradients(blocks: "_Blocks", inputs: list[Tensor], queries: slice, keys: slice, sums: list[Tensor], dtable):
    """Add one block's part to the gradients of queries, keys, values and table."""
    q, k, v, grad = inputs
    dq, dk, dv = sums
    q_block, grad_block = q[:, queries], grad[:, queries]
    p = blocks.probabilities(q, k, queries, keys)
    dv[:, keys] += torch.bmm(p.mT, grad_block)
    dp = torch.bmm(grad_block, v[:, keys].mT, out=blocks.matrices(2, p.shape[1], p.shape[2]))
    dlogits = torch._softmax_backward_data(dp, p, -1, p.dtype)
    dq[:, queries] = torch.bmm(dlogits, k[:, keys])
    dk[:, keys] += torch.bmm(dlogits.mT, q_block)
    if dtable is not None:
        dproducts = blocks.matrices(0, p.shape[1], p.shape[2] + 1)
        dproducts.flatten(1)[:, : p.shape[1]] = 0
        _skewed(dproducts).copy_(dlogits)
        dq[:, queries] += torch.bmm(dproducts, blocks.table_of(p.shape[2]))
        for dpart in torch.bmm(dproducts.mT, q_block).split(len(dtable)):
            dtable[:, -p.shape[2] - 1 :] += dpart


class _Blocks:
    """How the work is cut, and memory for one block of it.

    Attributes:
        sequences: slices of the batch, done one after the other.
        pairs: each block of queries with the keys that any of them sees.
        shape: M = heads x sequences of one slice, T, K.
    """

    def __init__(self, q_BHTK: Tensor, table_HRK: Tensor | None, window: int):
        batch, num_heads, num_tokens, width = q_BHTK.shape
        # one sequence at a time stays in a processor's cache; an accelerator wants them all at once
        size = 1 if q_BHTK.device.type == "cpu" else batch
        self.sequences = [slice(first, first + size) for first in range(0, batch, size)]
        starts = range(0, num_tokens, _BLOCK)
        ends = [min(start + _BLOCK, num_tokens) for start in starts]
        self.pairs = [
            (slice(start, end), slice(max(0, start - window + 1), end))
            for start, end in zip(starts, ends, strict=True)
        ]
        self.shape = (size * num_heads, num_tokens, width)
        self._table = table_HRK
        self._window = window
        longest = max(keys.stop - keys.start for _, keys in self.pairs)
        largest = size * num_heads * min(_BLOCK, num_tokens) * (longest + 1)
        self._spaces = [q_BHTK.new_empty(largest) for _ in range(3)]

    def matrices(self, space: int, num_rows: int, num_columns: int) -> Tensor:
        """Return matrices (M, num_rows, num_columns) in work space 0, 1 or 2, with whatever is there."""
        return self._spaces[space][: self.shape[0] * num_rows * num_columns].view(-1, num_rows, num_columns)

    def table_of(self, num_keys: int) -> Tensor:
        """Return the table's distances N ... 0, once for each of the sequences: (M, N+1, K)."""
        part_HRK = self._table[:, -num_keys - 1 :]
        num_heads = len(part_HRK)
        return part_HRK if self.shape[0] == num_heads else part_HRK.repeat(self.shape[0] // num_heads, 1, 1)

    def probabilities(self, q: Tensor, k: Tensor, queries: slice, keys: slice) -> Tensor:
        """Return the softmax (M, Q, N) of a block, in work space 1; 0 is overwritten."""
        num_rows, num_keys = queries.stop - queries.start, keys.stop - keys.start
        out = self.matrices(1, num_rows, num_keys)
        if self._table is None:
            logits = torch.bmm(q[:, queries], k[:, keys].mT, out=out)
        else:
            products = self.matrices(0, num_rows, num_keys + 1)
            torch.bmm(q[:, queries], self.table_of(num_keys).mT, out=products)
            logits = torch.baddbmm(_skewed(products), q[:, queries], k[:, keys].mT, out=out)
        self._hide(logits)
        return torch.softmax(logits, dim=-1, out=out)

    def _hide(self, logits: Tensor) -> None:
        """Set the logits of the future, and of what is out of the window, to -inf."""
        _, num_rows, num_keys = logits.shape
        future = torch.full((num_rows, num_rows), float("-inf"), dtype=logits.dtype, device=logits.device).triu(1)
        logits[..., -num_rows:].add_(future)
        # distance of the last query to the first key, less what the window allows
        excess = num_keys - self._window
        if excess > 0:
            past = torch.ones(num_rows, excess, dtype=torch.bool, device=logits.device).tril(excess - num_rows)
            logits[..., :excess].masked_fill_(past, float("-inf"))


def _skewed(products: Tensor) -> Tensor:
    """View products (M, Q, N+1) with a descending table as logits (M, Q, N)."""
    num_matrices, num_rows, num_columns = products.shape
    return products.view(num_matrices, -1)[:, num_rows:].view(num_matrices, num_rows, num_columns - 1)
