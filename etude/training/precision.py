"""The number format of a training: float32 master weights, bfloat16 products where the device has them."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return ``float32`` or ``bfloat16`` for a setting that may be ``auto``.

    ``auto`` takes bfloat16 where the hardware multiplies it: CUDA devices that say so, CPUs with the
    AVX-512 instructions for it. Elsewhere it would be emulated, slower than float32.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if device.type == "cpu":
        # no public question exists; absent on platforms without these instructions
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        return "bfloat16" if supported() else "float32"
    return "float32"


def autocast_for(precision: str, device: torch.device) -> Callable[[], AbstractContextManager]:
    """Return a function that opens the autocast region of one forward pass.

    Args:
        precision: ``float32`` or ``bfloat16``.
        device: where the model is.
    """
    if precision == "float32":
        return contextlib.nullcontext
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16)
