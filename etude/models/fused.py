"""Whether a fused kernel takes the place of tensor operations: on CUDA, where triton is there and its result is right.

The first time that a process needs a kernel for a device, dtype and head width, the kernel is built and its result and
gradients are compared with those of tensor operations on a small input. If it cannot be built (triton needs a C
compiler) or differs, one warning says so and tensor operations serve. ``ETUDE_FUSED=off`` in the environment chooses
them without asking; so does ``torch.use_deterministic_algorithms``, since a fused kernel adds in no fixed order.
"""

import importlib.util
import os
import warnings
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

SWITCH = "ETUDE_FUSED"
"""The environment variable: ``off`` for no fused kernels."""

_OLDEST_CHIP = (8, 0)
"""Compute capability from which tensor cores know bfloat16."""

_TOLERANCE = 0.05
"""Largest difference from tensor operations, as a share of the size; rounding to bfloat16 makes about 0.005."""


def fused_form_of_relative_attention(q_BHTK: Tensor, plain: Callable[..., Tensor]) -> Callable[..., Tensor] | None:
    """Return the fused form of relative attention for such queries, or None if ``plain`` has to serve.

    Args:
        q_BHTK: the queries, for their device, dtype and width.
        plain: the form in tensor operations, which the fused one is checked against.
    """
    device, width = q_BHTK.device, q_BHTK.shape[-1]
    if device.type != "cuda" or not _wanted() or torch.are_deterministic_algorithms_enabled():
        return None
    if q_BHTK.dtype not in (torch.float32, torch.bfloat16, torch.float16) or not _triton_is_there():
        return None
    return _checked(device, q_BHTK.dtype, width, plain)


def _wanted() -> bool:
    return os.environ.get(SWITCH, "on").lower() not in ("off", "0", "false", "no")


@cache
def _triton_is_there() -> bool:
    return importlib.util.find_spec("triton") is not None


@cache
def _checked(
    device: torch.device, dtype: torch.dtype, width: int, plain: Callable[..., Tensor]
) -> Callable[..., Tensor] | None:
    from etude.models import relative_fused

    if width > relative_fused.WIDEST or torch.cuda.get_device_capability(device) < _OLDEST_CHIP:
        return None
    reason = why_not(relative_fused.fused_relative_attention, plain, device, dtype, width)
    if reason is None:
        return relative_fused.fused_relative_attention
    text = f"fused relative attention ({dtype}, heads of {width}) is not used: {reason}; {SWITCH}=off says so without"
    warnings.warn(f"{text} this warning", stacklevel=2)
    return None


def why_not(
    fused: Callable[..., Tensor], plain: Callable[..., Tensor], device: torch.device, dtype: torch.dtype, width: int
) -> str | None:
    """Run both forms on a small input; return None if they agree, otherwise what went wrong, in one line."""
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
            ours, theirs = (_results(form, device, dtype, width) for form in (fused, plain))
    except Exception as error:  # whatever a compiler, a driver or a chip that nobody has tried may raise
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    differences = [float((mine - other).norm() / other.norm()) for mine, other in zip(ours, theirs, strict=True)]
    # not "worst > tolerance": nan is no agreement
    return None if all(one <= _TOLERANCE for one in differences) else f"it is off by {max(differences):.2g}"


def _results(form: Callable[..., Tensor], device: torch.device, dtype: torch.dtype, width: int) -> list[Tensor]:
    """Return output and gradients, float32, of a window that ends within tiles; no random number is drawn."""
    batch, num_heads, num_tokens = 1, 2, 160
    shapes = [(batch, num_heads, num_tokens, width)] * 3 + [(num_heads, num_tokens, width)]
    given = []
    for number, shape in enumerate(shapes):
        place = torch.arange(num_heads * num_tokens * width, device=device, dtype=torch.float32)
        # no two tokens alike
        values = (place * (1.0 + 0.37 * number)).sin().view(shape) * (width**-0.5 if number in (0, 3) else 1.0)
        given.append(values.to(dtype).requires_grad_())
    out = form(*given, window=num_tokens - 60, segments=None)
    return [x.detach().float() for x in (out, *torch.autograd.grad(out, given, given[2].detach()))]
