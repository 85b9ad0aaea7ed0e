"""How large a decoder is, and what a step with it takes, from its settings alone.

Dimension key:  B batch   T tokens   D model width   F feed-forward width
"""

import torch

from etude.models import build_model
from etude.models.settings import DecoderSettings

_BYTES = {"float32": 4, "bfloat16": 2}
_OPTIMIZER_COPIES = 4  # weights, gradients and two moments, all float32


def num_parameters(settings: DecoderSettings, vocab_size: int) -> int:
    """Return the number of weights; nothing is allocated.

    Example:
        >>> num_parameters(DecoderSettings(num_layers=2, model_dim=64, num_heads=2, ff_dim=128, tied=True), 390)
        107200
    """
    with torch.device("meta"):
        model = build_model(settings, vocab_size)
    return sum(parameter.numel() for parameter in model.parameters())


def flops_per_token(settings: DecoderSettings, vocab_size: int) -> float:
    """Return the floating-point operations of training on one token.

    6 for each weight, forward and backward, and 6 · layers · width · context for causal attention, counted once.
    """
    attention = 6 * settings.num_layers * settings.model_dim * settings.ctx_len
    return 6.0 * num_parameters(settings, vocab_size) + attention


def step_memory_bytes(settings: DecoderSettings, vocab_size: int, rows: int, precision: str) -> int:
    """Return about how many bytes a training step holds at its peak.

    Weights, gradients and moments, and for each token and layer what the backward pass needs: the residual stream
    twice in float32; normed inputs, queries, keys, values and attention's output, and the feed-forward layer's inner
    values in the precision of the products.

    Args:
        settings: the decoder's.
        vocab_size: number of ids.
        rows: rows of ``ctx_len`` tokens of one forward pass.
        precision: ``float32`` or ``bfloat16``.
    """
    inner = settings.ff_dim * (3 if settings.feed_forward == "swiglu" else 2)
    a_layer = 2 * 4 * settings.model_dim + _BYTES[precision] * (6 * settings.model_dim + inner)
    tokens = rows * settings.ctx_len
    weights = _OPTIMIZER_COPIES * 4 * num_parameters(settings, vocab_size)
    return weights + tokens * (settings.num_layers * a_layer + 4 * settings.model_dim)
