"""Causal attention with learned relative embeddings, in query blocks; nothing T x T is kept.

Dimension key:  B batch   H heads   T tokens   K width of one head   Q queries of one block
                N keys of one block, up to its last query   R = T + 1 rows of a descending table

    logit[i, j] = q_i . (k_j + e_{i-j})   for i - window < j <= i,   softmax over j,   sum of v_j

and for i and j of one segment, if rows hold several: on the CPU blocks end where a segment does.

The skew: a block's products with the table, Q x (N+1) in descending distance N ... 0, are read from
entry Q on as a Q x N matrix. Row r has then moved left by Q - r, and its entry j stands for distance
(N - Q + r) - j, that from query to key. Nothing is copied. Entries that wrapped round are future keys,
which the causal mask removes.

The backward pass makes each block's probabilities again; work space is that of one block. Products run
in the dtype of q; softmax and sums over blocks in float32. On a GPU one kernel may do all of it: see ``fused.py``.

Source:
    Huang et al. 2018, Music Transformer, section 3.4.1, for the skew; blocks and recomputation are ours.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from etude.models.fused import fused_form_of_relative_attention
from etude.models.precision import sum_dtype
from etude.models.segments import Segments

_BLOCK = 256
"""Queries of one block: products are large enough to run at speed, work space small enough for the cache."""


def relative_attention(
    q_BHTK: Tensor,
    k_BHTK: Tensor,
    v_BHTK: Tensor,
    embedding_HTK: Tensor,
    *,
    window: int,
    segments: Segments | None = None,
) -> Tensor:
    """Attend to earlier tokens and to how far back they are.

    Args:
        q_BHTK: queries, scaled.
        k_BHTK: keys.
        v_BHTK: values.
        embedding_HTK: embeddings of distances 0 to T - 1; axis 0 has size H, or 1 if heads share it.
        window: how many tokens a query sees, itself included.
        segments: parts of the rows that do not see each other; None for whole rows.

    Returns:
        ``out_BHTK``, laid out as (B, T, H, K).
    """
    fused = fused_form_of_relative_attention(q_BHTK, in_blocks)
    attend = in_blocks if fused is None else fused
    return attend(q_BHTK, k_BHTK, v_BHTK, embedding_HTK, window=window, segments=segments)


def in_blocks(
    q_BHTK: Tensor,
    k_BHTK: Tensor,
    v_BHTK: Tensor,
    embedding_HTK: Tensor,
    *,
    window: int,
    segments: Segments | None = None,
) -> Tensor:
    """Do what ``relative_attention`` does, in tensor operations on blocks of queries."""
    # row 0 belongs to distance T, which no pair has; see the skew
    descending = F.pad(embedding_HTK.flip(1), (0, 0, 1, 0))
    table_HRK = descending.to(q_BHTK.dtype).expand(q_BHTK.shape[1], -1, -1)
    return _RelativeAttention.apply(q_BHTK, k_BHTK, v_BHTK, table_HRK, window, segments)


class _RelativeAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, table_HRK: Tensor, window: int, segments):
        ctx.save_for_backward(q_BHTK, k_BHTK, v_BHTK, table_HRK)
        ctx.window, ctx.segments = window, segments
        batch, num_heads, num_tokens, width = q_BHTK.shape
        out_BHTK = q_BHTK.new_empty(batch, num_tokens, num_heads, width).transpose(1, 2)
        blocks = _Blocks(q_BHTK, table_HRK, window, segments)
        with torch.autocast(q_BHTK.device.type, enabled=False):
            for rows, pairs in blocks.sequences:
                q, k, v = (x[rows].flatten(0, 1) for x in (q_BHTK, k_BHTK, v_BHTK))
                for queries, keys in pairs:
                    p = blocks.probabilities(*_dense(q[:, queries], k[:, keys]), blocks.apart(rows, queries, keys))
                    out_BHTK[rows, :, queries] = torch.bmm(p, v[:, keys]).unflatten(0, (-1, num_heads))
        return out_BHTK

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_BHTK: Tensor):
        *inputs_BHTK, table = ctx.saved_tensors
        blocks = _Blocks(inputs_BHTK[0], table, ctx.window, ctx.segments)
        grads_BHTK = [torch.empty_like(x) for x in inputs_BHTK]
        sums = [x.new_empty(blocks.shape, dtype=sum_dtype(x)) for x in inputs_BHTK]
        dtable = torch.zeros_like(table, dtype=sum_dtype(table), memory_format=torch.contiguous_format)
        with torch.autocast(grad_BHTK.device.type, enabled=False):
            for rows, pairs in blocks.sequences:
                inputs = [x[rows].flatten(0, 1) for x in (*inputs_BHTK, grad_BHTK)]
                for total in sums:
                    total.zero_()
                for queries, keys in pairs:
                    _add_gradients(blocks, inputs, rows, queries, keys, sums, dtable)
                for grad, total in zip(grads_BHTK, sums, strict=True):
                    # not grad[rows].flatten(0, 1): where heads do not lie side by side that is a copy, and lost
                    grad[rows].copy_(total.unflatten(0, (-1, grad.shape[1])))
        return *grads_BHTK, dtable.to(table.dtype), None, None


def _add_gradients(
    blocks: "_Blocks",
    inputs: list[Tensor],
    rows: slice,
    queries: slice,
    keys: slice,
    sums: list[Tensor],
    dtable: Tensor,
) -> None:
    """Add one block's part to the gradients of queries, keys, values and table."""
    dq, dk, dv = sums
    q, grad = _dense(*(x[:, queries] for x in inputs[::3]))
    k, v = _dense(*(x[:, keys] for x in inputs[1:3]))
    p = blocks.probabilities(q, k, blocks.apart(rows, queries, keys))
    dv[:, keys] += torch.bmm(p.mT, grad)
    dp = torch.bmm(grad, v.mT, out=blocks.matrices(2, *p.shape[1:]))
    # the kernel that autograd calls: one pass, float32 inside
    dlogits = torch._softmax_backward_data(dp, p, -1, p.dtype)
    dq[:, queries] = torch.bmm(dlogits, k)
    dk[:, keys] += torch.bmm(dlogits.mT, q)
    num_rows, num_keys = p.shape[1:]
    dproducts = blocks.matrices(1, num_rows, num_keys + 1)
    dproducts.flatten(1)[:, :num_rows] = 0
    _skewed(dproducts).copy_(dlogits)
    dq[:, queries] += torch.bmm(dproducts, blocks.table_of(num_keys))
    for dpart in torch.bmm(dproducts.mT, q).split(len(dtable)):
        dtable[:, -num_keys - 1 :] += dpart


def _dense(*parts: Tensor) -> tuple[Tensor, ...]:
    # a product copies what is not dense by itself, and slowly if it is transposed as well
    return tuple(part.contiguous() for part in parts)


def _sequences_at_once(q_BHTK: Tensor) -> int:
    # one sequence stays in a processor's cache; an accelerator wants them all
    return 1 if q_BHTK.device.type == "cpu" else len(q_BHTK)


class _Blocks:
    """How the work is cut, and memory for one block of it.

    Attributes:
        sequences: slices of the batch, done one after the other, each with its pairs: every block of queries with
            the keys that any of them sees.
        shape: M = heads x sequences of one slice, T, K.
    """

    def __init__(self, q_BHTK: Tensor, table_HRK: Tensor, window: int, segments: Segments | None):
        batch, num_heads, num_tokens, width = q_BHTK.shape
        size = _sequences_at_once(q_BHTK)
        rows = [slice(first, first + size) for first in range(0, batch, size)]
        spans = segments.spans if segments is not None and size == 1 else [[(0, num_tokens)]] * len(rows)
        self.sequences = [(row, _pairs(row_spans, window)) for row, row_spans in zip(rows, spans, strict=True)]
        self.shape = (size * num_heads, num_tokens, width)
        self._table = table_HRK
        self._window = window
        self._segments = None if size == 1 else segments
        longest = max(keys.stop - keys.start for _, pairs in self.sequences for _, keys in pairs)
        largest = size * num_heads * min(_BLOCK, num_tokens) * (longest + 1)
        self._spaces = [q_BHTK.new_empty(largest) for _ in range(3)]

    def apart(self, rows: slice, queries: slice, keys: slice) -> Tensor | None:
        """Return which pairs of a block are of different segments, if blocks go across them."""
        return None if self._segments is None else self._segments.apart(rows, queries, keys)

    def matrices(self, space: int, num_rows: int, num_columns: int) -> Tensor:
        """Return matrices (M, num_rows, num_columns) in work space 0, 1 or 2, with whatever is there."""
        return self._spaces[space][: self.shape[0] * num_rows * num_columns].view(-1, num_rows, num_columns)

    def table_of(self, num_keys: int) -> Tensor:
        """Return the table's distances N ... 0, once for each of the sequences: (M, N+1, K)."""
        part_HRK = self._table[:, -num_keys - 1 :]
        return part_HRK.repeat(self.shape[0] // len(part_HRK), 1, 1)

    def probabilities(self, q: Tensor, k: Tensor, apart: Tensor | None) -> Tensor:
        """Return the softmax (M, Q, N) of a block, in work space 0; 1 is overwritten."""
        num_rows, num_keys = q.shape[1], k.shape[1]
        products = torch.bmm(q, self.table_of(num_keys).mT, out=self.matrices(0, num_rows, num_keys + 1))
        logits = torch.baddbmm(_skewed(products), q, k.mT, out=self.matrices(1, num_rows, num_keys))
        self._hide(logits)
        if apart is not None:
            logits.unflatten(0, (len(apart), -1)).masked_fill_(apart[:, None], float("-inf"))
        return torch.softmax(logits, dim=-1, out=self.matrices(0, num_rows, num_keys))

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


def _pairs(spans: list[tuple[int, int]], window: int) -> list[tuple[slice, slice]]:
    """Return the blocks of queries of each span, and the keys within it that any of them sees."""
    pairs = []
    for first, end in spans:
        for start in range(first, end, _BLOCK):
            stop = min(start + _BLOCK, end)
            pairs.append((slice(start, stop), slice(max(first, start - window + 1), stop)))
    return pairs


def _skewed(products: Tensor) -> Tensor:
    """View products (M, Q, N+1) with a descending table as logits (M, Q, N)."""
    num_matrices, num_rows, num_columns = products.shape
    return products.view(num_matrices, -1)[:, num_rows:].view(num_matrices, num_rows, num_columns - 1)
