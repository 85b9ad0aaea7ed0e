"""Compiles the kernels of relative attention for chips that are not here; prints what memory for tiles each takes."""

import json
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from etude.models import relative_triton as kernels

CHIPS = {80: 32, 89: 32, 90: 64}
"""Compute capability, ten times, to the tile size that ``relative_fused.tile_size`` takes there in bfloat16."""

VIEW = kernels.View("*bf16", "i32", "i32", "i32")
ROWS = ("*fp32", "*fp32")
GIVEN = {"given": kernels.Inputs(VIEW, VIEW, VIEW, VIEW), "reach": kernels.Reach("*i32", "*i32", "i32")}
ARGUMENTS = {
    kernels.forward: {"out": VIEW, "log_sum": "*fp32"},
    kernels.backward_queries: {"outs": (VIEW, VIEW), "rows": ROWS, "dq": VIEW, "dtable": "*fp32"},
    kernels.backward_keys: {"grads": VIEW, "rows": ROWS, "dkv": (VIEW, VIEW)},
}


def places(value: object, path: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Where the pointers and numbers of an argument are."""
    if isinstance(value, tuple):
        return [place for number, part in enumerate(value) for place in places(part, (*path, number))]
    return [path]


def shared_bytes(kernel: object, capability: int) -> int:
    constants = {"BLOCK": CHIPS[capability], "WIDTH": 64, "PRECISION": "tf32"}
    signature = GIVEN | ARGUMENTS[kernel] | {"sizes": kernels.Sizes("i32", "i32", "i32")}
    names = [*signature, *constants]
    source = ASTSource(
        fn=kernel,
        signature=signature | dict.fromkeys(constants, "constexpr"),
        constexprs={(names.index(name),): value for name, value in constants.items()},
        # as in a model: addresses and strides are multiples of 16
        attrs={
            place: [["tt.divisibility", 16]]
            for number, value in enumerate(signature.values())
            for place in places(value, (number,))
        },
    )
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 4, "num_stages": 2})
    return made.metadata.shared


def main() -> None:
    made = {f"{kernel.__name__} {chip}": shared_bytes(kernel, chip) for kernel in ARGUMENTS for chip in CHIPS}
    json.dump(made, sys.stdout)


if __name__ == "__main__":
    main()
