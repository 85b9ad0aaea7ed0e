"""Optimisers, parameter groups and the learning rate of a step; settings and formulas are in ``optim_settings.py``."""

import math

import torch
from torch import nn

from etude.optim_settings import OptimSettings

_FUSED_ON = ("cpu", "cuda", "mps", "xpu")
"""Kinds of device where torch has the whole update as one kernel."""


def build_optimizer(settings: OptimSettings, model: nn.Module) -> torch.optim.Optimizer:
    """Build Adam or AdamW over the trainable parameters of a model.

    Two groups: matrices and tables (two axes or more), which decay, and vectors (norms, biases), which do not.
    The learning rate is ``peak_lr`` until the caller sets it from ``learning_rate_at``.

    Args:
        settings: the optimiser's settings.
        model: on the device where it will be trained.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if settings.kind == "adamw" else torch.optim.Adam
    return kind(
        [group for group in groups if group["params"]],
        lr=settings.peak_lr,
        betas=settings.betas,
        eps=settings.eps,
        fused=all(p.device.type in _FUSED_ON for p in parameters),
    )


def learning_rate_at(settings: OptimSettings, step: int) -> float:
    """Return the learning rate of the update number ``step``, the first being 1.

    Example:
        >>> from etude.optim_settings import noam_peak_lr
        >>> paper = OptimSettings(schedule="noam", peak_lr=noam_peak_lr(768, 4000), warmup_steps=4000)
        >>> f"{learning_rate_at(paper, 211):.7e}"
        '3.0096213e-05'
    """
    warmup = settings.warmup_steps
    if step < warmup:
        return settings.peak_lr * step / warmup
    if settings.schedule == "constant":
        return settings.peak_lr
    if settings.schedule == "noam":
        return settings.peak_lr * math.sqrt(warmup / step)
    done = min(1.0, (step - warmup) / (settings.schedule_steps - warmup))
    left = (1.0 + math.cos(math.pi * done)) / 2 if settings.schedule == "cosine" else 1.0 - done
    floor = settings.final_lr_fraction
    return settings.peak_lr * (floor + (1.0 - floor) * left)
