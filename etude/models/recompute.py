"""Less memory for more time: a block's inner results are thrown away and made again for the backward pass.

Losses and gradients keep their bits, dropout included: torch's generator is put back before a block runs again.
"""

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from etude.errors import SettingsError


def recompute_activations(model: nn.Module) -> None:
    """Let a model's blocks keep nothing but what goes into them while it trains.

    Raises:
        SettingsError: the model's class has no attribute ``recompute_activations``.
    """
    if not hasattr(model, "recompute_activations"):
        kind = getattr(model.settings, "kind", type(model).__name__)
        raise SettingsError(f"train.recompute_activations = true: a model of kind {kind} cannot do this; leave it out")
    model.recompute_activations = True


def run_block(block: nn.Module, *args: Any, again: bool) -> Any:
    """Run a block; if ``again``, in training, keep only its arguments and run it once more for the backward pass."""
    if again and block.training and torch.is_grad_enabled():
        return checkpoint(block, *args, use_reentrant=False)
    return block(*args)
