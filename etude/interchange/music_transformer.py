"""The Music Transformer of the PyTorch reproduction people know, with and without relative attention, on 390 event ids.

Published names of one layer, ``transformer.encoder.layers.<i>.``, and ours, ``blocks.<i>.``:

    self_attn.in_proj_weight, _bias       attention.qkv: all queries, all keys, all values, in both
    self_attn.out_proj                    attention.out
    self_attn.Er, (R, K)                  attention.relative: their last row is distance 0, our first is
    linear1, linear2                      feed_forward.up, feed_forward.down
    norm1, norm2                          attention_norm, feed_forward_norm, after what they add to

Besides: ``embedding.weight``, ``positional_encoding.pe`` (sinusoids, which the model makes itself: compared, not kept),
``transformer.encoder.norm`` and ``Wout`` with its bias. Without ``Er`` the file does not tell the number of heads:
the code's default is 8.

Source:
    Huang et al. 2018, "Music Transformer", as reproduced in MusicTransformer-Pytorch, and the names in its files.
"""

import math
from pathlib import Path

import torch

from etude.errors import ModelError
from etude.interchange import Imported
from etude.interchange.weights import Taking, Weights, read_weights
from etude.models.settings import DecoderSettings
from etude.tokens import build_tokenizer

_HEADS = 8
_DROPOUT = 0.1
_EXPECTED = "a Music Transformer"
_LAYER = "transformer.encoder.layers.{}."


def read(path: Path, *, num_heads: int | None = None) -> Imported:
    """Read a Music Transformer.

    Args:
        path: the file of weights.
        num_heads: heads of a block, where the file does not tell and they are not 8.

    Raises:
        ModelError: not such a model, or tensors are missing or of another shape.
    """
    weights = read_weights(path)
    tokenizer = build_tokenizer("performance")
    vocab_size = weights.size("embedding.weight", 0, expected=_EXPECTED)
    if vocab_size != tokenizer.vocab_size:
        raise ModelError(f"{path}: a vocabulary of {vocab_size} ids: expected {tokenizer.vocab_size}, {_EXPECTED}")
    settings = _settings(weights, num_heads)
    taking = Taking(weights)
    state = _state(taking, settings, vocab_size)
    sinusoids = taking.take("positional_encoding.pe", settings.ctx_len, 1, settings.model_dim)
    unread = taking.finish()
    _compare_sinusoids(path, sinusoids[:, 0])
    return Imported(
        settings=settings,
        tokenizer=tokenizer,
        state_dict=state,
        facts={
            "name": "Music Transformer",
            "source": "https://github.com/gwinndr/MusicTransformer-Pytorch",
            "licence": "that of whoever trained it",
        },
        unread=unread,
    )


def _settings(weights: Weights, num_heads: int | None) -> DecoderSettings:
    width = weights.size("embedding.weight", 1, expected=_EXPECTED)
    ctx_len = weights.size("positional_encoding.pe", 0, expected=_EXPECTED)
    table = _LAYER.format(0) + "self_attn.Er"
    relative, heads = {}, num_heads or _HEADS
    if table in weights.tensors:
        head_width = weights.size(table, 1, expected=_EXPECTED)
        if num_heads not in (None, width // head_width):
            raise ModelError(
                f"{weights.path}: {num_heads} heads were asked for, its embeddings say {width // head_width}"
            )
        heads = width // head_width
        relative = {
            "positions": "relative",
            "sinusoids": True,
            "relative_shared": True,
            "relative_span": weights.size(table, 0, expected=_EXPECTED),
        }
    return DecoderSettings.parse(
        {
            "num_layers": weights.layers(_LAYER.format(r"(\d+)").replace(".", r"\.")),
            "model_dim": width,
            "num_heads": heads,
            "ctx_len": ctx_len,
            "ff_dim": weights.size(_LAYER.format(0) + "linear1.weight", 0, expected=_EXPECTED),
            "feed_forward": "relu",
            "biases": True,
            "norm": "layer",
            "norm_placement": "post",
            "positions": "sinusoidal",
            "head_bias": True,
            "dropout": _DROPOUT,
            "inner_dropout": _DROPOUT,
        }
        | relative,
        where=f"{weights.path}: model",
    )


def _state(taking: Taking, settings: DecoderSettings, vocab_size: int) -> dict[str, torch.Tensor]:
    width, inner = settings.model_dim, settings.ff_dim
    state = {
        "embedding.weight": taking.take("embedding.weight", vocab_size, width),
        "norm.weight": taking.take("transformer.encoder.norm.weight", width),
        "norm.bias": taking.take("transformer.encoder.norm.bias", width),
        "head.weight": taking.take("Wout.weight", vocab_size, width),
        "head_bias": taking.take("Wout.bias", vocab_size),
    }
    for layer in range(settings.num_layers):
        theirs, ours = _LAYER.format(layer), f"blocks.{layer}."
        state[ours + "attention.qkv.weight"] = taking.take(theirs + "self_attn.in_proj_weight", 3 * width, width)
        state[ours + "attention.qkv.bias"] = taking.take(theirs + "self_attn.in_proj_bias", 3 * width)
        for name, published, rows, columns in (
            ("attention.out", "self_attn.out_proj", width, width),
            ("feed_forward.up", "linear1", inner, width),
            ("feed_forward.down", "linear2", width, inner),
        ):
            state[f"{ours}{name}.weight"] = taking.take(f"{theirs}{published}.weight", rows, columns)
            state[f"{ours}{name}.bias"] = taking.take(f"{theirs}{published}.bias", rows)
        for norm, name in (("norm1", "attention_norm"), ("norm2", "feed_forward_norm")):
            for part in ("weight", "bias"):
                state[f"{ours}{name}.{part}"] = taking.take(f"{theirs}{norm}.{part}", width)
        if settings.positions == "relative":
            table_RK = taking.take(theirs + "self_attn.Er", settings.num_distances, settings.head_width)
            state[ours + "attention.relative.table_HRK"] = table_RK.flip(0)[None]
    return state


def _compare_sinusoids(path: Path, given_TD: torch.Tensor) -> None:
    """Make sure that what the file adds to the embeddings is what our model adds."""
    num_tokens, width = given_TD.shape
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(1e4) / width))
    angles = torch.arange(num_tokens, dtype=torch.float64)[:, None] * rate
    made_TD = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width].float()
    # float32 angles of a few thousand are off by 1e-4
    if not torch.allclose(given_TD, made_TD, atol=1e-3):
        raise ModelError(
            f"{path}: positional_encoding.pe holds other numbers than sinusoids with base 10,000, "
            "sines and cosines by turns; such a model is not known"
        )
