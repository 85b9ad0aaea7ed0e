"""What a decoder of given settings costs: parameters, arithmetic, memory; nothing is allocated to say so.

This file does not need torch. Bytes of training are an estimate for ``--plan``, good to about 15 % for what is
kept between the passes; what a process measures has the interpreter and the libraries on top.
"""

from collections.abc import Callable
from functools import wraps

from etude.models import linear_sizes
from etude.models.linear_sizes import condition_parameters
from etude.models.settings import DecoderSettings

_OTHER_KINDS = {"linear": linear_sizes}
_FLOAT32 = 4
_REMEMBERED = {"prodigy": 4}  # values a weight that an optimiser keeps, if not two
_LOGITS_PER_CHUNK = 2**23  # as in loss.py
_BLOCK = 128  # queries of a block of a sliding window, as in attention.py


def _told_by_kind(of_decoder: Callable[..., int]) -> Callable[..., int]:
    """Let another kind of model answer with its own function of the same name."""

    @wraps(of_decoder)
    def told(settings, *args, **options) -> int:
        own = _OTHER_KINDS.get(settings.kind)
        return (getattr(own, of_decoder.__name__) if own else of_decoder)(settings, *args, **options)

    return told


@_told_by_kind
def num_parameters(settings: DecoderSettings, vocab_size: int) -> int:
    """Return the number of weights.

    Example:
        >>> num_parameters(DecoderSettings(num_layers=6, model_dim=384, num_heads=6, ff_dim=1024), 500)
        11005824
    """
    dim, width, kv_width = settings.model_dim, _width(settings), settings.kv_heads * settings.head_width
    inputs = width + 2 * kv_width, settings.ff_dim * (2 if settings.feed_forward == "swiglu" else 1)
    linear = dim * (inputs[0] + width + inputs[1] + settings.ff_dim)
    biases = sum(inputs) + 2 * dim if settings.biases else 0
    norm = dim * (2 if settings.norm == "layer" else 1)
    relative = 0
    if settings.positions == "relative":
        tables = 1 if settings.relative_shared else settings.num_heads
        relative = tables * settings.num_distances * settings.head_width
    places = settings.ctx_len * dim if settings.positions == "learned" else 0
    ends = vocab_size * (dim * (1 if settings.tied else 2) + settings.head_bias) + norm * settings.final_norm
    ends += condition_parameters(settings, vocab_size)
    return settings.num_layers * (linear + biases + 2 * norm + relative) + places + ends


@_told_by_kind
def flops_per_token(settings: DecoderSettings, vocab_size: int) -> int:
    """Return the arithmetic of training on one token: 6 N + 6 layers x width x context.

    A window shorter than the context takes its place with w (2 - w / context), twice the tokens seen on average.

    Source:
        Kaplan et al. 2020, with causal attention counted once: half of the products are masked.
    """
    window, ctx_len = settings.window, settings.ctx_len
    attention = settings.num_layers * _width(settings) * window * (2 * ctx_len - window) // ctx_len
    return 6 * num_parameters(settings, vocab_size) + 6 * attention


@_told_by_kind
def cache_bytes(settings: DecoderSettings, *, batch_size: int, length: int, value_bytes: int = _FLOAT32) -> int:
    """Return the bytes of keys and values of a cache for ``length`` tokens a row."""
    width = settings.kv_heads * settings.head_width
    return 2 * settings.num_layers * batch_size * min(length, settings.window) * width * value_bytes


@_told_by_kind
def activation_bytes(
    settings: DecoderSettings, *, num_tokens: int, value_bytes: int = 2, recompute: bool = False
) -> int:
    """Return the bytes that the forward pass keeps for the backward pass.

    Args:
        settings: the decoder's settings.
        num_tokens: tokens of one micro-batch.
        value_bytes: bytes of a number in products: 2 under bfloat16 autocast, 4 in float32.
        recompute: blocks keep their inputs, and one of them at a time everything.
    """
    dim, inner = settings.model_dim, settings.ff_dim
    # a norm keeps its input, or its input brought to unit size, and the product after it keeps its output
    norm = dim * (value_bytes if settings.norm == "rms" else _FLOAT32) + dim * value_bytes
    # queries, keys, values, and what they find; in blocks keys and values are kept twice, what they find as well
    in_blocks = settings.attention_window is not None and settings.ctx_len > max(settings.window, _BLOCK)
    attention = (7 if in_blocks and settings.positions != "relative" else 4) * _width(settings) * value_bytes
    kept = {"relu": 1, "swiglu": 3}.get(settings.feed_forward, 2)
    if settings.inner_dropout:
        kept += 2 if settings.feed_forward == "relu" else 1
    dropout = 2 * dim * value_bytes if settings.dropout or settings.first_dropout else 0
    block = 2 * norm + attention + kept * inner * value_bytes + dropout
    if recompute:
        return num_tokens * (settings.num_layers * dim * _FLOAT32 + block)
    return num_tokens * settings.num_layers * block


def state_bytes(settings: DecoderSettings, vocab_size: int, precision: str, optimizer: str = "adamw") -> dict[str, int]:
    """Return the bytes of what a training holds all the time, part by part.

    Args:
        settings: the model's settings.
        vocab_size: number of token ids.
        precision: products under autocast, ``bfloat16`` or ``float16``, keep a copy of the weights.
        optimizer: its kind; adam and adamw remember two values a weight, muon between one and two, prodigy four.

    Returns:
        ``weights, copy, gradients, optimizer``.

    Example:
        >>> state_bytes(DecoderSettings(num_layers=6, model_dim=384, num_heads=6, ff_dim=1024), 500, "bfloat16")
        {'weights': 44023296, 'copy': 22011648, 'gradients': 44023296, 'optimizer': 88046592}
    """
    weights = _FLOAT32 * num_parameters(settings, vocab_size)
    return {
        "weights": weights,
        "copy": 0 if precision == "float32" else weights // 2,
        "gradients": weights,
        "optimizer": weights * _REMEMBERED.get(optimizer, 2),
    }


def step_memory(
    settings: DecoderSettings,
    vocab_size: int,
    micro_rows: int,
    precision: str,
    *,
    recompute: bool = False,
    optimizer: str = "adamw",
) -> dict[str, int]:
    """Return the bytes of a training step at its peak, part by part.

    Args:
        settings: the model's settings.
        vocab_size: number of token ids.
        micro_rows: sequences of ``ctx_len`` tokens in one micro-batch.
        precision: ``bfloat16`` for products under autocast, which keeps a copy of the weights, or ``float32``.
        recompute: blocks keep their inputs alone.
        optimizer: its kind.

    Returns:
        The parts of ``state_bytes``; ``activations``; and ``work``, what the loss and the backward pass of a block take
        besides for a moment.
    """
    value_bytes = _FLOAT32 if precision == "float32" else 2
    num_tokens = micro_rows * settings.ctx_len
    kept = activation_bytes(settings, num_tokens=num_tokens, value_bytes=value_bytes, recompute=recompute)
    block = activation_bytes(settings.replace(num_layers=1), num_tokens=num_tokens, value_bytes=value_bytes)
    # hidden states and their gradient; logits, their logarithm and gradient of a chunk
    ends = num_tokens * settings.model_dim * (2 * _FLOAT32 + value_bytes)
    logits = min(num_tokens * vocab_size, _LOGITS_PER_CHUNK) * (2 * _FLOAT32 + value_bytes)
    return state_bytes(settings, vocab_size, precision, optimizer) | {
        "activations": kept,
        "work": block + ends + logits,
    }


def _width(settings: DecoderSettings) -> int:
    """Return the width of all heads of queries."""
    return settings.num_heads * settings.head_width
