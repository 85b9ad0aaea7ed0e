"""Relative attention in one kernel each way, for GPUs: what ``relative_attention`` does, its memory linear in T.

Dimension key:  B batch   H heads   T tokens   K width of one head

Kept for the backward pass are the inputs, the output and one float32 a query. The kernels are those of
``relative_triton.py``; ``fused.py`` says when they are taken.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from etude.models import relative_triton as kernels
from etude.models.relative_triton import Inputs, Reach, Sizes, View
from etude.models.segments import Segments

WIDEST = 128
"""Widest head whose tiles fit on the chip."""

_STAGES = 2
"""Tiles of keys on the chip at a time: the one in work and the next."""


def fused_relative_attention(
    q_BHTK: Tensor,
    k_BHTK: Tensor,
    v_BHTK: Tensor,
    embedding_HTK: Tensor,
    *,
    window: int,
    segments: Segments | None = None,
) -> Tensor:
    """Do what ``relative_attention`` does, with its arguments; K is at most ``WIDEST``, dtypes float32 or half."""
    table_HTK = embedding_HTK.to(q_BHTK.dtype).expand(q_BHTK.shape[1], -1, -1)
    return _Fused.apply(q_BHTK, k_BHTK, v_BHTK, table_HTK, window, segments)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, table_HTK: Tensor, window: int, segments):
        given = [_side_by_side(x) for x in (q_BHTK, k_BHTK, v_BHTK, table_HTK)]
        batch, num_heads, num_tokens, width = q_BHTK.shape
        out_BHTK = q_BHTK.new_empty(batch, num_tokens, num_heads, width).transpose(1, 2)
        log_sum_BHT = q_BHTK.new_empty(batch, num_heads, num_tokens, dtype=torch.float32)
        ctx.reach = _reach(num_tokens, window, segments, q_BHTK.device)
        _launch(kernels.forward, given, ctx.reach, _view(out_BHTK), log_sum_BHT)
        ctx.save_for_backward(*given, out_BHTK, log_sum_BHT)
        return out_BHTK

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_BHTK: Tensor):
        *given, out_BHTK, log_sum_BHT = ctx.saved_tensors
        grad_BHTK = _side_by_side(grad_BHTK)
        dq, dk, dv = (torch.empty_like(x) for x in given[:3])
        dtable_HTK = torch.zeros_like(given[3], dtype=torch.float32, memory_format=torch.contiguous_format)
        # the sum over K of output times its gradient, which both kernels need; the first one makes it
        dot_BHT = torch.empty_like(log_sum_BHT)
        rows = (log_sum_BHT, dot_BHT)
        _launch(
            kernels.backward_queries, given, ctx.reach, (_view(out_BHTK), _view(grad_BHTK)), rows, _view(dq), dtable_HTK
        )
        _launch(kernels.backward_keys, given, ctx.reach, _view(grad_BHTK), rows, (_view(dk), _view(dv)))
        return dq, dk, dv, dtable_HTK.to(given[3].dtype), None, None


def _side_by_side(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()


def _view(x: Tensor) -> View:
    return View(x, *(0,) * (4 - x.dim()), *x.stride()[:-1])


def _reach(num_tokens: int, window: int, segments: Segments | None, device: torch.device) -> Reach:
    place_T = torch.arange(num_tokens, device=device)
    first, end = (place_T - window + 1).clamp(min=0)[None], (place_T + window).clamp(max=num_tokens)[None]
    if segments is None:
        return Reach(first.int(), end.int(), 0)
    first, end = torch.maximum(first, place_T - segments.place_BT), torch.minimum(end, segments.end_BT)
    return Reach(first.int(), end.int(), num_tokens)


def _launch(kernel, given: list[Tensor], reach: Reach, *rest) -> None:
    q_BHTK = given[0]
    batch, num_heads, num_tokens, width = q_BHTK.shape
    block = tile_size(q_BHTK)
    # as torch's own products of float32: exact unless the user lets them be faster
    exact = q_BHTK.dtype == torch.float32 and torch.get_float32_matmul_precision() == "highest"
    grid = (batch * num_heads * -(-num_tokens // block),)
    with torch.cuda.device_of(q_BHTK):
        kernel[grid](
            Inputs(*(_view(x) for x in given)),
            reach,
            *rest,
            Sizes(num_heads, num_tokens, width),
            BLOCK=block,
            WIDTH=max(16, 2 ** (width - 1).bit_length()),
            PRECISION="ieee" if exact else "tf32",
            num_warps=8 if block * width > 64 * 64 else 4,
            num_stages=_STAGES,
        )


def tile_size(q_BHTK: Tensor) -> int:
    """Queries, keys and distances of a tile: as many as registers hold, which the compilers' reports of spills say."""
    if q_BHTK.dtype == torch.float32:
        return 16
    # data-centre chips of these two kinds multiply 64 rows at a time and have more than 200 KB for tiles
    return 64 if q_BHTK.is_cuda and torch.cuda.get_device_capability(q_BHTK.device)[0] in (9, 10) else 32
