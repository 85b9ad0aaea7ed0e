"""What a decoder of given settings costs: parameters, arithmetic, memory; nothing is allocated to say so.

This file does not need torch. Bytes of training are an estimate for ``--plan``, good to about 15 % for what is
kept between the passes; what a process measures has the interpreter and the libraries on top.
"""

from etude.models.settings import DecoderSettings

_FLOAT32 = 4


def num_parameters(settings: DecoderSettings, vocab_size: int) -> int:
    """Return the number of weights.

    Example:
        >>> num_parameters(DecoderSettings(num_layers=6, model_dim=384, num_heads=6, ff_dim=1024), 500)
        11005824
    """
    dim, attention_width = settings.model_dim, settings.num_heads * settings.head_width
    attention = 4 * dim * attention_width
    feed_forward = (3 if settings.feed_forward == "swiglu" else 2) * dim * settings.ff_dim
    norm = dim * (2 if settings.norm == "layer" else 1)
    relative = 0
    if settings.positions == "relative":
        tables = 1 if settings.relative_shared else settings.num_heads
        relative = tables * settings.num_distances * settings.head_width
    block = attention + feed_forward + 2 * norm + relative
    return settings.num_layers * block + norm + vocab_size * dim * (1 if settings.tied else 2)


def flops_per_token(settings: DecoderSettings, vocab_size: int) -> int:
    """Return the arithmetic of training on one token: 6 N + 6 layers x width x context.

    Source:
        Kaplan et al. 2020, with causal attention counted once: half of the products are masked.
    """
    attention = settings.num_layers * settings.num_heads * settings.head_width * settings.ctx_len
    return 6 * num_parameters(settings, vocab_size) + 6 * attention


def cache_bytes(settings: DecoderSettings, *, batch_size: int, length: int, value_bytes: int = _FLOAT32) -> int:
    """Return the bytes of keys and values of a cache for ``length`` tokens a row."""
    width = settings.num_heads * settings.head_width
    return 2 * settings.num_layers * batch_size * min(length, settings.ctx_len) * width * value_bytes


def activation_bytes(settings: DecoderSettings, *, num_tokens: int, value_bytes: int = 2) -> int:
    """Return the bytes that the forward pass keeps for the backward pass.

    Args:
        settings: the decoder's settings.
        num_tokens: tokens of one micro-batch.
        value_bytes: bytes of a number in products: 2 under bfloat16 autocast, 4 in float32.
    """
    dim, width, inner = settings.model_dim, settings.num_heads * settings.head_width, settings.ff_dim
    # a norm keeps its input, or its input brought to unit size, and the product after it keeps its output
    norm = dim * (value_bytes if settings.norm == "rms" else _FLOAT32) + dim * value_bytes
    attention = 4 * width * value_bytes
    feed_forward = {"relu": 1, "gelu": 2, "swiglu": 3}[settings.feed_forward] * inner * value_bytes
    dropout = 2 * dim * value_bytes if settings.dropout else 0
    return num_tokens * settings.num_layers * (2 * norm + attention + feed_forward + dropout)


def step_memory_bytes(settings: DecoderSettings, vocab_size: int, micro_rows: int, precision: str) -> int:
    """Return the bytes of a training step: weights, gradients, Adam's two means, activations.

    Args:
        settings: the decoder's settings.
        vocab_size: number of token ids.
        micro_rows: sequences of ``ctx_len`` tokens in one micro-batch.
        precision: ``bfloat16`` for products under autocast, which keeps a copy of the weights, or ``float32``.
    """
    value_bytes = _FLOAT32 if precision == "float32" else 2
    weight_bytes = 4 * _FLOAT32 + (0 if precision == "float32" else value_bytes)
    activations = activation_bytes(settings, num_tokens=micro_rows * settings.ctx_len, value_bytes=value_bytes)
    return weight_bytes * num_parameters(settings, vocab_size) + activations
