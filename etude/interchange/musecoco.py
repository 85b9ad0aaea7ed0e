"""MuseCoco's attribute-to-music models: linear attention on 1,253 ids, as fairseq saves them.

Published names of one layer, ``decoder.layers.<i>.``, and ours, ``blocks.<i>.``:

    self_attn.q_proj, k_proj, v_proj      attention.qkv, in this order; each head by head in both
    self_attn.out_proj                    attention.out
    fc1, fc2                              feed_forward.up, feed_forward.down
    self_attn_layer_norm                  attention_norm
    final_layer_norm                      feed_forward_norm

Besides: ``decoder.embed_tokens``, ``decoder.layer_norm``, ``decoder.output_projection``; ``decoder.version`` and
``decoder.embed_positions._float_tensor`` say nothing. Places are counted from ``<sep>``, as in training; the
published generator counts from the token before it. A ``dict.txt`` beside the file names ids that were replaced.

Source:
    Lu et al. 2023, "MuseCoco", and the names in its fairseq code.
"""

from pathlib import Path
from typing import Any

import torch

from etude.errors import ModelError
from etude.interchange import Imported
from etude.interchange.weights import Taking, Weights, read_weights
from etude.models.settings import LinearSettings
from etude.tokens import build_tokenizer
from etude.tokens.remi import RemiTokenizer
from etude.tokens.remi_vocab import SEP

_EXPECTED = "a MuseCoco attribute-to-music model"
_LAYER = "decoder.layers.{}."
_EMBEDDING = "decoder.embed_tokens.weight"
_HEADS = {(512, 6): 8, (768, 12): 12, (896, 12): 12, (1024, 16): 12, (2048, 24): 24}
"""Width and layers of the published sizes, and the number of heads, which no shape tells."""
_ACTIVATIONS = {"gelu": "gelu", "gelu_accurate": "gelu_tanh", "gelu_fast": "gelu_tanh", "relu": "relu"}
_DROPOUT = 0.1
_CTX_LEN = 5120


def read(path: Path, *, num_heads: int | None = None) -> Imported:
    """Read a MuseCoco model.

    Args:
        path: a checkpoint of fairseq, or its weights alone.
        num_heads: heads of a block, where neither the file nor a published size tells.

    Raises:
        ModelError: not such a model, tensors missing or of another shape, or an unknown number of heads.
    """
    path = Path(path)
    weights = read_weights(path)
    names = path.parent / "dict.txt" if path.is_file() else path / "dict.txt"
    tokenizer = RemiTokenizer.from_dict(names) if names.is_file() else build_tokenizer("remi")
    vocab_size = weights.size(_EMBEDDING, 0, expected=_EXPECTED)
    if vocab_size != tokenizer.vocab_size:
        raise ModelError(f"{path}: a vocabulary of {vocab_size} ids: expected {tokenizer.vocab_size}, {_EXPECTED}")
    settings = _settings(weights, num_heads)
    taking = Taking(weights)
    state = _state(taking, settings, vocab_size)
    taking.pass_over("decoder.version")
    taking.pass_over("decoder.embed_positions._float_tensor")
    return Imported(
        settings=settings,
        tokenizer=tokenizer,
        state_dict=state,
        facts={
            "name": "MuseCoco, attribute to music",
            "source": "https://github.com/microsoft/muzic",
            "licence": "MIT",
        },
        unread=taking.finish(),
    )


def _settings(weights: Weights, num_heads: int | None) -> LinearSettings:
    told = weights.extra.get("args") or {}
    dim, layers = weights.size(_EMBEDDING, 1, expected=_EXPECTED), weights.layers(r"decoder\.layers\.(\d+)\.")
    first = _LAYER.format(0)
    width = weights.size(first + "self_attn.q_proj.weight", 0, expected=_EXPECTED)
    heads = _heads(weights.path, num_heads, told.get("decoder_attention_heads"), _HEADS.get((dim, layers)))
    if width % heads:
        raise ModelError(
            f"{weights.path}: attention of width {width} has no {heads} heads of one width; check the number"
        )
    activation = told.get("activation_fn", "gelu")
    if activation not in _ACTIVATIONS:
        raise ModelError(f"{weights.path}: activation {activation!r}: expected one of {', '.join(_ACTIVATIONS)}")
    return LinearSettings.parse(
        {
            "num_layers": layers,
            "model_dim": dim,
            "num_heads": heads,
            "head_dim": width // heads,
            "ctx_len": told.get("truncated_length") or _CTX_LEN,
            "ff_dim": weights.size(first + "fc1.weight", 0, expected=_EXPECTED),
            "feed_forward": _ACTIVATIONS[activation],
            "position_start_id": SEP,
            "embedding_scale": not told.get("no_scale_embedding", False),
            "dropout": float(told.get("dropout", _DROPOUT)),
        },
        where=f"{weights.path}: model",
    )


def _heads(path: Path, asked: int | None, told: Any, known: int | None) -> int:
    if asked is not None and told not in (None, asked):
        raise ModelError(f"{path}: {asked} heads were asked for, the file says {told}; leave it out")
    heads = asked or told or known
    if not heads:
        raise ModelError(
            f"{path}: not one of the published sizes, so shapes do not tell the number of heads; give --heads"
        )
    return int(heads)


def _state(taking: Taking, settings: LinearSettings, vocab_size: int) -> dict[str, torch.Tensor]:
    dim, inner, width = settings.model_dim, settings.ff_dim, settings.num_heads * settings.head_width
    state = {
        "embedding.weight": taking.take(_EMBEDDING, vocab_size, dim),
        "norm.weight": taking.take("decoder.layer_norm.weight", dim),
        "norm.bias": taking.take("decoder.layer_norm.bias", dim),
        "head.weight": taking.take("decoder.output_projection.weight", vocab_size, dim),
    }
    for layer in range(settings.num_layers):
        theirs, ours = _LAYER.format(layer), f"blocks.{layer}."
        parts = [f"{theirs}self_attn.{name}_proj." for name in "qkv"]
        state[ours + "attention.qkv.weight"] = torch.cat([taking.take(part + "weight", width, dim) for part in parts])
        state[ours + "attention.qkv.bias"] = torch.cat([taking.take(part + "bias", width) for part in parts])
        for name, published, rows, columns in (
            ("attention.out", "self_attn.out_proj", dim, width),
            ("feed_forward.up", "fc1", inner, dim),
            ("feed_forward.down", "fc2", dim, inner),
        ):
            state[f"{ours}{name}.weight"] = taking.take(f"{theirs}{published}.weight", rows, columns)
            state[f"{ours}{name}.bias"] = taking.take(f"{theirs}{published}.bias", rows)
        for norm, name in (("self_attn_layer_norm", "attention_norm"), ("final_layer_norm", "feed_forward_norm")):
            for part in ("weight", "bias"):
                state[f"{ours}{name}.{part}"] = taking.take(f"{theirs}{norm}.{part}", dim)
    return state
