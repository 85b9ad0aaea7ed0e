"""Aria: a pre-norm decoder with layer normalisation, rotary positions and gated feed-forward layers, on absolute ids.

Published names of one layer, ``model.encode_layers.<i>.``, and ours, ``blocks.<i>.``:

    norm1, norm2                    attention_norm, feed_forward_norm, weight and bias
    mixed_qkv.weight                attention.qkv.weight: all queries, all keys, all values, in both
    att_proj_linear.weight          attention.out.weight
    ff_gate_proj, ff_up_proj        the two halves of feed_forward.up.weight
    ff_down_proj.weight             feed_forward.down.weight

Besides: ``model.tok_embeddings.weight``, ``model.out_layer_norm``, ``lm_head.weight``. The rotation has base 500,000
and turns feature i with feature i + K/2, as ours does. The file does not tell the number of heads: every published
size has heads of 64.

Source:
    Bradshaw et al. 2025, "Scaling Self-Supervised Representation Learning for Symbolic Piano Performance", and the
    names in its published files.
"""

from pathlib import Path
from typing import Any

import torch

from etude.errors import ModelError
from etude.interchange import Imported
from etude.interchange.weights import Taking, Weights, read_weights
from etude.models.settings import DecoderSettings
from etude.tokens import build_tokenizer

_HEAD_WIDTH = 64
_ROPE_BASE = 500_000.0
_CTX_LEN = 8192
_EXPECTED = "a language model of Aria"
_REAL_TIME: dict[str, Any] = {
    "instruments": ["piano"],
    "drums": "skip",
    "pedal": "both",
    "delimiter": True,
    "composers": [],
    "forms": [],
    "genres": [],
}
_TOKENIZERS: dict[int, dict[str, Any]] = {17_727: {}, 2_675: _REAL_TIME}
"""Settings of the absolute tokenizer by the size of the published vocabulary."""


def read(path: Path, *, num_heads: int | None = None, ctx_len: int | None = None) -> Imported:
    """Read a language model of Aria.

    Args:
        path: a file, or a folder with ``config.json``.
        num_heads: heads of a block, where the folder does not tell and they are not 64 wide.
        ctx_len: context that it was trained with; 8,192 if nobody tells.

    Raises:
        ModelError: not such a model; tensors are missing, of another shape, or of an unknown vocabulary.
    """
    weights = read_weights(path)
    vocab_size = weights.size("model.tok_embeddings.weight", 0, expected=_EXPECTED)
    if vocab_size not in _TOKENIZERS:
        known = " and ".join(f"{size:,}" for size in _TOKENIZERS)
        raise ModelError(f"{path}: a vocabulary of {vocab_size:,} ids: those of the published models have {known}")
    settings = _settings(weights, num_heads, ctx_len)
    taking = Taking(weights)
    state = _state(taking, settings, vocab_size)
    return Imported(
        settings=settings,
        tokenizer=build_tokenizer("absolute", published=True, **_TOKENIZERS[vocab_size]),
        state_dict=state,
        facts={"name": "Aria", "source": "https://github.com/EleutherAI/aria", "licence": "Apache-2.0"},
        unread=taking.finish(),
    )


def _settings(weights: Weights, num_heads: int | None, ctx_len: int | None) -> DecoderSettings:
    config = weights.config
    width = weights.size("model.tok_embeddings.weight", 1, expected=_EXPECTED)
    heads = num_heads or config.get("n_heads") or config.get("num_attention_heads") or max(1, width // _HEAD_WIDTH)
    longest = ctx_len or config.get("max_seq_len") or config.get("max_position_embeddings") or _CTX_LEN
    return DecoderSettings.parse(
        {
            "num_layers": weights.layers(r"model\.encode_layers\.(\d+)\."),
            "model_dim": width,
            "num_heads": heads,
            "ctx_len": longest,
            "ff_dim": weights.size("model.encode_layers.0.ff_gate_proj.weight", 0, expected=_EXPECTED),
            "feed_forward": "swiglu",
            "norm": "layer",
            "positions": "rope",
            "rope_base": _ROPE_BASE,
        },
        where=f"{weights.path}: model",
    )


def _state(taking: Taking, settings: DecoderSettings, vocab_size: int) -> dict[str, torch.Tensor]:
    width, inner = settings.model_dim, settings.ff_dim
    state = {
        "embedding.weight": taking.take("model.tok_embeddings.weight", vocab_size, width),
        "norm.weight": taking.take("model.out_layer_norm.weight", width),
        "norm.bias": taking.take("model.out_layer_norm.bias", width),
        "head.weight": taking.take("lm_head.weight", vocab_size, width),
    }
    for layer in range(settings.num_layers):
        theirs, ours = f"model.encode_layers.{layer}.", f"blocks.{layer}."
        for norm, name in (("norm1", "attention_norm"), ("norm2", "feed_forward_norm")):
            for part in ("weight", "bias"):
                state[f"{ours}{name}.{part}"] = taking.take(f"{theirs}{norm}.{part}", width)
        state[ours + "attention.qkv.weight"] = taking.take(theirs + "mixed_qkv.weight", 3 * width, width)
        state[ours + "attention.out.weight"] = taking.take(theirs + "att_proj_linear.weight", width, width)
        gate = taking.take(theirs + "ff_gate_proj.weight", inner, width)
        value = taking.take(theirs + "ff_up_proj.weight", inner, width)
        state[ours + "feed_forward.up.weight"] = torch.cat([gate, value])
        state[ours + "feed_forward.down.weight"] = taking.take(theirs + "ff_down_proj.weight", width, inner)
    return state
