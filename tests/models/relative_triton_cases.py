"""Runs the kernels of relative attention in triton's interpreter and prints how far they are from the formula.

A program of its own, since triton reads ``TRITON_INTERPRET`` when it is imported. ``test_relative_triton.py`` runs it.
"""

import json
import sys

import torch
import triton.language as tl
from test_relative_attention import _Largest, formula, inputs
from torch import Tensor
from triton.runtime.interpreter import InterpreterBuilder

from etude.models import relative_fused
from etude.models.positions import RelativeEmbeddings
from etude.models.relative_attention import in_blocks
from etude.models.relative_fused import fused_relative_attention
from etude.models.segments import Segments

NUM_TOKENS = 112
"""Of the case that looks at memory: tokens by tokens is far more than tokens by width."""


def errors(ours: Tensor, plain: Tensor, given: list[Tensor]) -> list[float]:
    """Largest differences of output and of each gradient."""
    # laid out as the model's own gradient is, with heads inside tokens
    batch, heads, num_tokens, width = plain.shape
    drawn = torch.randn(batch, num_tokens, heads, width, generator=torch.Generator().manual_seed(1)).transpose(1, 2)
    grads = [torch.autograd.grad(out, given, drawn.to(out.dtype)) for out in (ours, plain)]
    pairs = [(ours, plain), *zip(*grads, strict=True)]
    return [float((mine - other).detach().abs().max()) for mine, other in pairs]


def against_formula(num_tokens: int, window: int, tables: int, **sizes: int) -> list[float]:
    given = inputs(num_tokens, tables, **{"batch": 1, "heads": 2, **sizes})
    return errors(fused_relative_attention(*given, window=window), formula(*given, window=window), given)


def short_table() -> list[float]:
    """Distances past the table's end use its last vector."""
    *given, _ = inputs(20, 2, batch=1, heads=2)
    relative = RelativeEmbeddings(2, 7, 8, shared=False)
    torch.nn.init.normal_(relative.table_HRK, generator=torch.Generator().manual_seed(2))
    forms = [form(*given, relative(20), window=20) for form in (fused_relative_attention, formula)]
    return errors(*forms, [*given, relative.table_HRK])


def segments() -> list[float]:
    """Two rows cut at different places; queries lie with heads inside tokens, as the model gives them."""
    given = inputs(40, 1, batch=2, heads=1)
    given[0] = given[0].detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    ids_BT = torch.tensor([[0] * 5 + [1] * 12 + [0] * 23, [4] * 32 + [5] * 8])
    forms = [form(*given, window=11, segments=Segments(ids_BT, 11)) for form in (fused_relative_attention, in_blocks)]
    return errors(*forms, given)


def half(dtype: torch.dtype) -> list[float]:
    """Products of 16 bits against the formula in float32 on the same values; differences as shares of the size."""
    low = [x.detach().to(dtype).requires_grad_() for x in inputs(24, 1, batch=1, heads=1, width=16)]
    high = [x.detach().float().requires_grad_() for x in low]
    ours, plain = fused_relative_attention(*low, window=20), formula(*high, window=20)
    grad = torch.randn(plain.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    mine, others = torch.autograd.grad(ours, low, grad), torch.autograd.grad(plain, high, grad.float())
    pairs = zip([ours, *mine], [plain, *others], strict=True)
    return [float(((one.float() - other).norm() / other.norm()).detach()) for one, other in pairs]


def largest() -> list[float]:
    """Values of the largest tensor that a pass there and back makes outside of the kernels."""
    given = inputs(NUM_TOKENS, 1, batch=1, heads=1)
    with _Largest() as seen:
        fused_relative_attention(*given, window=10).sum().backward()
    return [seen.numel]


CASES = {
    "one table a head, part of a tile": lambda: against_formula(37, 64, 2),
    "a shared table and a window": lambda: against_formula(37, 9, 1),
    "a whole tile": lambda: against_formula(16, 16, 1, heads=1, width=16),
    "a window of one token": lambda: against_formula(19, 1, 1, heads=1),
    "one token": lambda: against_formula(1, 5, 2, batch=2),
    "a table shorter than the row": short_table,
    "segments": segments,
    "float16": lambda: half(torch.float16),
    "bfloat16": lambda: half(torch.bfloat16),
    "largest": largest,
}


def multiply_bfloat16() -> None:
    """Have the interpreter multiply bfloat16 as a GPU does, summing in float32; it multiplies the bits as integers."""
    plain = InterpreterBuilder.create_dot

    def create_dot(self, a, b, *rest):
        a, b = (self.cast_impl(x, tl.float32) if x.dtype.scalar == tl.bfloat16 else x for x in (a, b))
        return plain(self, a, b, *rest)

    InterpreterBuilder.create_dot = create_dot


def main() -> None:
    multiply_bfloat16()
    # the interpreter takes a moment for each tile; small ones have the same borders
    relative_fused.tile_size = lambda q_BHTK: 16
    json.dump({name: case() for name, case in CASES.items()}, sys.stdout)


if __name__ == "__main__":
    main()
