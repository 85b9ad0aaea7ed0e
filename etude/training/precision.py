"""The number format of a training: float32 master weights, bfloat16 or float16 products.

bfloat16 has float32's range and needs nothing else. float16 ends at 65,504 and loses what is below 6e-8, so that it
runs only with a scaled loss: the loss is multiplied by a factor before the backward pass and gradients are divided by
it after. The factor is halved, and the step skipped, whenever a gradient overflows; it is doubled after so many
steps without. It is part of the training's state, so a resumed run has it too.
"""

import contextlib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from etude.training.state import TrainState

FIRST_SCALE = 2.0**16
LAST_SCALE = 2.0**-4
"""A gradient that overflows even at this factor is no matter of the factor."""
STEPS_TO_DOUBLE = 2000


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return ``float32``, ``bfloat16`` or ``float16`` for a setting that may be ``auto``.

    ``auto`` takes bfloat16 where the hardware multiplies it: CUDA devices that say so, CPUs with the
    AVX-512 instructions for it. Elsewhere it would be emulated, slower than float32. It never takes float16.
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
        precision: ``float32``, ``bfloat16`` or ``float16``.
        device: where the model is.
    """
    if precision == "float32":
        return contextlib.nullcontext
    dtype = getattr(torch, precision)
    return lambda: torch.autocast(device.type, dtype=dtype)


def loss_scale(precision: str, state: TrainState) -> float:
    """Return the factor that the loss of the coming step is multiplied by: 1 unless products are float16."""
    return state.health.get("loss_scale", FIRST_SCALE) if precision == "float16" else 1.0


def settle_loss_scale(precision: str, state: TrainState, *, is_finite: bool) -> bool:
    """Set the factor for the next step.

    Args:
        precision: of products.
        state: remembers the factor.
        is_finite: whether loss and gradients of this step were numbers.

    Returns:
        Whether gradients that are not finite are explained by the factor, which is smaller now.
    """
    if precision != "float16":
        return False
    scale, steps = loss_scale(precision, state), state.health.get("steps_at_scale", 0) + 1
    if not is_finite:
        state.health |= {"loss_scale": max(scale / 2, LAST_SCALE), "steps_at_scale": 0}
        return scale > LAST_SCALE
    if steps >= STEPS_TO_DOUBLE:
        scale, steps = scale * 2, 0
    state.health |= {"loss_scale": scale, "steps_at_scale": steps}
    return False


def clip_gradients(
    parameters: list[torch.nn.Parameter], clip_norm: float | None, *, scale: float = 1.0
) -> torch.Tensor:
    """Divide gradients by the loss's factor, bring them down to a norm, and return the norm that they had.

    Args:
        parameters: those without a gradient are left alone.
        clip_norm: highest norm; None for any.
        scale: what the loss was multiplied by.
    """
    if scale != 1.0:
        torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], 1.0 / scale)
    norm = torch.nn.utils.clip_grad_norm_(parameters, math.inf if clip_norm is None else clip_norm)
    # of gradients that ranks share out, the norm is that of all ranks together
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm
