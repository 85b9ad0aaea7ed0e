"""The Anticipatory Music Transformer: GPT-2 on triplets of time, duration and note.

Published names of one layer, ``transformer.h.<i>.``, and ours, ``blocks.<i>.``; matrices are stored the other way
round (inputs, outputs):

    ln_1, ln_2                  attention_norm, feed_forward_norm
    attn.c_attn, attn.c_proj    attention.qkv, attention.out
    mlp.c_fc, mlp.c_proj        feed_forward.up, feed_forward.down

Besides: ``wte``, ``wpe``, ``ln_f`` and, where it is not tied, ``lm_head``. Layer i of these models divides its
attention by i + 1 once more; here that goes into its queries. The published vocabulary has no PAD, ours has it as its
last id: its row is the mean of all others, so that its probability is never above 1 / (number of ids).

Source:
    Thickstun et al. 2023, "Anticipatory Music Transformer"; Radford et al. 2019 for GPT-2; the names of the
    ``transformers`` library.
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
_EXPECTED = "a GPT-2 language model"
_ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu"}
_INTERARRIVAL = 34_025


def read(path: Path, *, num_heads: int | None = None) -> Imported:
    """Read an Anticipatory Music Transformer.

    Args:
        path: a file, or the folder with ``config.json``.
        num_heads: heads of a block, where the folder does not tell and they are not 64 wide.

    Raises:
        ModelError: not such a model, or tensors are missing or of another shape.
    """
    weights = read_weights(path)
    prefix = "" if "wte.weight" in weights.tensors else "transformer."
    tokenizer = build_tokenizer("anticipation")
    vocab_size = weights.size(prefix + "wte.weight", 0, expected=_EXPECTED)
    if vocab_size != tokenizer.vocab_size - 1:
        hint = ": a model of interarrival times, which is not known" if vocab_size == _INTERARRIVAL else ""
        raise ModelError(f"{path}: a vocabulary of {vocab_size:,} ids{hint}; expected {tokenizer.vocab_size - 1:,}")
    taking = Taking(weights)
    settings = _settings(weights, prefix, num_heads)
    state = _state(taking, settings, prefix, vocab_size)
    return Imported(
        settings=settings,
        tokenizer=tokenizer,
        state_dict=state,
        facts={
            "name": "Anticipatory Music Transformer",
            "source": "https://github.com/jthickstun/anticipation",
            "licence": "Apache-2.0",
        },
        unread=taking.finish(),
    )


def _settings(weights: Weights, prefix: str, num_heads: int | None) -> DecoderSettings:
    config = weights.config
    width = weights.size(prefix + "wte.weight", 1, expected=_EXPECTED)
    activation = config.get("activation_function", "gelu_new")
    if activation not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise ModelError(f"{weights.path}: config.json: activation_function = {activation!r}: expected one of {known}")
    head = weights.tensors.get("lm_head.weight")
    return DecoderSettings.parse(
        {
            "num_layers": weights.layers(prefix.replace(".", r"\.") + r"h\.(\d+)\."),
            "model_dim": width,
            "num_heads": num_heads or config.get("n_head") or max(1, width // _HEAD_WIDTH),
            "ctx_len": weights.size(prefix + "wpe.weight", 0, expected=_EXPECTED),
            "ff_dim": weights.size(prefix + "h.0.mlp.c_fc.weight", 1, expected=_EXPECTED),
            "feed_forward": _ACTIVATIONS[activation],
            "biases": True,
            "norm": "layer",
            "norm_eps": config.get("layer_norm_epsilon", 1e-5),
            "positions": "learned",
            "tied": head is None or torch.equal(head, weights.tensors[prefix + "wte.weight"]),
            "dropout": config.get("resid_pdrop", 0.1),
            "embedding_dropout": config.get("embd_pdrop", 0.1),
        },
        where=f"{weights.path}: model",
    )


def _state(taking: Taking, settings: DecoderSettings, prefix: str, vocab_size: int) -> dict[str, torch.Tensor]:
    width, inner = settings.model_dim, settings.ff_dim
    state = {
        "embedding.weight": _with_pad(taking.take(prefix + "wte.weight", vocab_size, width)),
        "place_embedding.weight": taking.take(prefix + "wpe.weight", settings.ctx_len, width),
        "norm.weight": taking.take(prefix + "ln_f.weight", width),
        "norm.bias": taking.take(prefix + "ln_f.bias", width),
    }
    if settings.tied:
        taking.pass_over("lm_head.weight")
    else:
        state["head.weight"] = _with_pad(taking.take("lm_head.weight", vocab_size, width))
    for layer in range(settings.num_layers):
        theirs, ours = f"{prefix}h.{layer}.", f"blocks.{layer}."
        for norm, name in (("ln_1", "attention_norm"), ("ln_2", "feed_forward_norm")):
            for part in ("weight", "bias"):
                state[f"{ours}{name}.{part}"] = taking.take(f"{theirs}{norm}.{part}", width)
        for published, name, columns, rows in (
            ("attn.c_attn", "attention.qkv", width, 3 * width),
            ("attn.c_proj", "attention.out", width, width),
            ("mlp.c_fc", "feed_forward.up", width, inner),
            ("mlp.c_proj", "feed_forward.down", inner, width),
        ):
            state[f"{ours}{name}.weight"] = taking.take(f"{theirs}{published}.weight", columns, rows).T
            state[f"{ours}{name}.bias"] = taking.take(f"{theirs}{published}.bias", rows)
        factor = _attention_factor(taking.weights.config, layer, settings.head_width)
        for part in ("weight", "bias"):
            state[f"{ours}attention.qkv.{part}"] = _scale_queries(state[f"{ours}attention.qkv.{part}"], factor)
        # masks of what may be seen, which older files hold as if they were weights
        taking.pass_over(theirs + "attn.bias")
        taking.pass_over(theirs + "attn.masked_bias")
    return state


def _with_pad(table_VD: torch.Tensor) -> torch.Tensor:
    return torch.cat([table_VD, table_VD.mean(0, keepdim=True)])


def _attention_factor(config: dict[str, Any], layer: int, head_width: int) -> float:
    """Return what the logits of a layer are multiplied by beyond 1 / sqrt(K)."""
    factor = 1.0 if config.get("scale_attn_weights", True) else head_width**0.5
    return factor / (layer + 1) if config.get("scale_attn_by_inverse_layer_idx", True) else factor


def _scale_queries(rows: torch.Tensor, factor: float) -> torch.Tensor:
    query, rest = rows.split([len(rows) // 3, len(rows) - len(rows) // 3])
    return torch.cat([query * factor, rest])
