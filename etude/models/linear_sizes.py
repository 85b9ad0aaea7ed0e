"""What a decoder of linear attention costs; ``sizes.py`` asks here for settings of that kind.

This file does not need torch.
"""

from etude.models.settings import DecoderSettings, LinearSettings

_FLOAT32 = 4


def num_parameters(settings: LinearSettings, vocab_size: int) -> int:
    """Return the number of weights.

    Example:
        >>> num_parameters(LinearSettings(num_layers=6, model_dim=512, num_heads=8, ff_dim=2048), 1253)
        20198400
    """
    dim, width = settings.model_dim, settings.num_heads * settings.head_width
    inputs = 3 * width, settings.ff_dim * (2 if settings.feed_forward == "swiglu" else 1)
    linear = dim * (inputs[0] + width + inputs[1] + settings.ff_dim)
    biases = sum(inputs) + 2 * dim if settings.biases else 0
    norm = dim * (2 if settings.norm == "layer" else 1)
    ends = vocab_size * dim * (1 if settings.tied else 2) + norm + condition_parameters(settings, vocab_size)
    return settings.num_layers * (linear + biases + 2 * norm) + ends


def condition_parameters(settings: LinearSettings | DecoderSettings, vocab_size: int) -> int:
    """Return how many more weights a model has for its conditions; fewer where its tokens are narrower for them."""
    told = settings.conditions
    if not told.attributes:
        return 0
    width = told.token_width(settings.model_dim)
    narrower = settings.model_dim - width
    return told.num_rows * (narrower or settings.model_dim) - vocab_size * narrower


def flops_per_token(settings: LinearSettings, vocab_size: int) -> int:
    """Return the arithmetic of training on one token: 6 N + 12 layers x heads x width of a head squared.

    The second part is a state that is added to and multiplied by; a token costs the same at any length. What
    training in chunks does besides is not counted.
    """
    return 6 * num_parameters(settings, vocab_size) + 12 * settings.num_layers * _state_values(settings)


def cache_bytes(settings: LinearSettings, *, batch_size: int, length: int = 0, value_bytes: int = _FLOAT32) -> int:
    """Return the bytes of the states of ``batch_size`` rows, of any length; they are float32 at any ``value_bytes``."""
    sums = _state_values(settings) + settings.num_heads * settings.head_width
    return settings.num_layers * batch_size * sums * _FLOAT32


def activation_bytes(
    settings: LinearSettings, *, num_tokens: int, value_bytes: int = 2, recompute: bool = False
) -> int:
    """Return the bytes that the forward pass keeps for the backward pass; arguments as in ``sizes.py``."""
    dim, heads = settings.model_dim, settings.num_heads
    norm = dim * (value_bytes if settings.norm == "rms" else _FLOAT32) + dim * value_bytes
    # features of queries and keys, values with a 1, and what they find; a denominator a head
    attention = (4 * heads * settings.head_width + heads) * value_bytes + heads * _FLOAT32
    kept = {"relu": 1, "swiglu": 3}.get(settings.feed_forward, 2)
    if settings.inner_dropout:
        kept += 2 if settings.feed_forward == "relu" else 1
    dropout = 2 * dim * value_bytes if settings.dropout else 0
    block = 2 * norm + attention + kept * settings.ff_dim * value_bytes + dropout
    if recompute:
        return num_tokens * (settings.num_layers * dim * _FLOAT32 + block)
    return num_tokens * settings.num_layers * block


def _state_values(settings: LinearSettings) -> int:
    return settings.num_heads * settings.head_width**2
