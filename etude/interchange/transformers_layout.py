"""Decoders as the ``transformers`` library reads them: Llama, Mistral, StableLM and GPT-2.

Which it is follows from the settings, since each is one shape of decoder:

    llama      root-mean-square norm, gated feed-forward, rotary positions
    mistral    the same with an attention window below the context
    stablelm   layer norm, gated feed-forward, rotary positions; Aria's shape
    gpt2       layer norm, plain feed-forward, learned positions

Logits are equal for up to ``ctx_len`` tokens; past that ours slides and theirs goes on growing, or ends. What the
layouts have no word for is refused: relative embeddings, sinusoids, norms after the sum, a bias of the head.

The folder holds ``config.json``, ``generation_config.json``, ``model.safetensors``, ``README.md``, and the tokenizer as
``etude_tokenizer.json``: ids are made by ``etude.tokens.tokenizer_from_json``, theirs does not know music.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from etude.errors import ModelError
from etude.files import draft_folder, write_json, write_text
from etude.interchange.card import card_of_export
from etude.interchange.rope_pairs import in_halves
from etude.models.settings import DecoderSettings

_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}
_CLASSES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "stablelm": "StableLmForCausalLM",
    "gpt2": "GPT2LMHeadModel",
}


def write(model: Any, out: Path | str) -> Path:
    """Write a model for ``transformers.AutoModelForCausalLM.from_pretrained(out)``.

    Args:
        model: what ``etude.load`` returned.
        out: the folder; what stood there is replaced.

    Raises:
        ModelError: the model has no such layout; the message says what stands in the way.
    """
    settings = model.network.settings
    layout = layout_of(settings)
    state = {name: tensor.detach().float().cpu() for name, tensor in model.network.state_dict().items()}
    to_tensors = _gpt2_tensors if layout == "gpt2" else _llama_tensors
    tensors = to_tensors(settings, state)
    ids = {"bos_token_id": None, "eos_token_id": model.tokenizer.end_id, "pad_token_id": model.tokenizer.pad_id}
    config = _config(layout, settings, model.network.vocab_size) | ids
    with draft_folder(out) as draft:
        save_file({name: t.contiguous() for name, t in tensors.items()}, draft / "model.safetensors", {"format": "pt"})
        write_json(draft / "config.json", config)
        write_json(draft / "generation_config.json", {**ids, "do_sample": True, "max_length": settings.ctx_len})
        write_json(draft / "etude_tokenizer.json", model.tokenizer.to_json())
        write_text(draft / "README.md", card_of_export(model, layout=layout, use=_use(layout)))
    return Path(out)


def layout_of(settings: Any) -> str:
    """Return the name of the layout that says all that settings say.

    Raises:
        ModelError: none does.

    Example:
        >>> layout_of(DecoderSettings(norm="layer", feed_forward="gelu", positions="learned", biases=True))
        'gpt2'
    """
    if not isinstance(settings, DecoderSettings):
        raise ModelError(f"model.kind = {settings.kind!r}: transformers has no layout for it; export decoders")
    reasons = [
        f"{name} = {value}"
        for name, value, known in (
            ("norm_placement", settings.norm_placement, settings.norm_placement == "pre"),
            ("final_norm", settings.final_norm, settings.final_norm),
            ("head_bias", settings.head_bias, not settings.head_bias),
            ("conditions", settings.conditions.names, not settings.conditions.attributes),
            ("positions", settings.positions, settings.positions in ("rope", "learned")),
            ("embedding_scale with tied", True, not (settings.embedding_scale and settings.tied)),
        )
        if not known
    ]
    gated, rope, layer = settings.feed_forward == "swiglu", settings.positions == "rope", settings.norm == "layer"
    windowed, whole = settings.window < settings.ctx_len, settings.num_heads * settings.head_width == settings.model_dim
    fits = {
        "llama": gated and rope and not layer and not windowed,
        "mistral": gated and rope and not layer and windowed and not settings.biases,
        "stablelm": gated and rope and layer and not windowed and not settings.biases and whole,
        "gpt2": not gated and not rope and layer and not windowed and whole and settings.kv_heads == settings.num_heads,
    }
    found = next((name for name, does in fits.items() if does), None)
    if found is None and not reasons:
        shape = ("norm", "feed_forward", "positions", "biases", "attention_window", "head_dim", "num_kv_heads")
        reasons = [", ".join(f"{name} = {getattr(settings, name)}" for name in shape)]
    if reasons:
        raise ModelError(
            f"model: {'; '.join(reasons)}: no layout of transformers says this; they are {', '.join(_CLASSES)}, "
            "see docs/interchange.md"
        )
    return found


def _config(layout: str, settings: DecoderSettings, vocab_size: int) -> dict[str, Any]:
    common = {
        "architectures": [_CLASSES[layout]],
        "model_type": layout,
        "dtype": "float32",
        "vocab_size": vocab_size,
        "tie_word_embeddings": settings.tied,
    }
    if layout == "gpt2":
        return common | {
            "n_positions": settings.ctx_len,
            "n_embd": settings.model_dim,
            "n_layer": settings.num_layers,
            "n_head": settings.num_heads,
            "n_inner": settings.ff_dim,
            "activation_function": _ACTIVATIONS[settings.feed_forward],
            "layer_norm_epsilon": settings.norm_eps,
        }
    rope = {"rope_theta": settings.rope_base, "rope_type": "default"}
    if settings.rope_scaling != "none":
        before = {"original_max_position_embeddings": int(settings.ctx_len / settings.rope_factor)}
        rope |= {"rope_type": settings.rope_scaling, "factor": settings.rope_factor, **before}
    own = {
        "llama": {"attention_bias": settings.biases, "mlp_bias": settings.biases, "head_dim": settings.head_width},
        "mistral": {"sliding_window": settings.window, "head_dim": settings.head_width},
        "stablelm": {"use_qkv_bias": False},
    }
    if layout == "stablelm":
        rope["partial_rotary_factor"] = 1.0
    return common | {
        "max_position_embeddings": settings.ctx_len,
        "hidden_size": settings.model_dim,
        "num_hidden_layers": settings.num_layers,
        "num_attention_heads": settings.num_heads,
        "num_key_value_heads": settings.kv_heads,
        "intermediate_size": settings.ff_dim,
        "hidden_act": "silu",
        "layer_norm_eps" if settings.norm == "layer" else "rms_norm_eps": settings.norm_eps,
        "rope_parameters": rope,
        **own[layout],
    }


def _llama_tensors(settings: DecoderSettings, state: dict[str, Tensor]) -> dict[str, Tensor]:
    tensors = {"model.embed_tokens.weight": _scaled_embedding(settings, state)}
    if not settings.tied:
        tensors["lm_head.weight"] = state["head.weight"]
    for part in [part for part in ("weight", "bias") if f"norm.{part}" in state]:
        tensors[f"model.norm.{part}"] = state[f"norm.{part}"]
        for layer in range(settings.num_layers):
            ours, theirs = f"blocks.{layer}.", f"model.layers.{layer}."
            tensors[f"{theirs}input_layernorm.{part}"] = state[f"{ours}attention_norm.{part}"]
            tensors[f"{theirs}post_attention_layernorm.{part}"] = state[f"{ours}feed_forward_norm.{part}"]
    parts = ("weight", "bias") if settings.biases else ("weight",)
    for layer in range(settings.num_layers):
        for part in parts:
            ours, theirs = f"blocks.{layer}.", f"model.layers.{layer}."
            query, key, value = _split_qkv(settings, state[f"{ours}attention.qkv.{part}"])
            gate, up = state[f"{ours}feed_forward.up.{part}"].chunk(2)
            tensors |= {
                f"{theirs}self_attn.q_proj.{part}": query,
                f"{theirs}self_attn.k_proj.{part}": key,
                f"{theirs}self_attn.v_proj.{part}": value,
                f"{theirs}self_attn.o_proj.{part}": state[f"{ours}attention.out.{part}"],
                f"{theirs}mlp.gate_proj.{part}": gate,
                f"{theirs}mlp.up_proj.{part}": up,
                f"{theirs}mlp.down_proj.{part}": state[f"{ours}feed_forward.down.{part}"],
            }
    return tensors


def _gpt2_tensors(settings: DecoderSettings, state: dict[str, Tensor]) -> dict[str, Tensor]:
    tensors = {
        "transformer.wte.weight": _scaled_embedding(settings, state),
        "transformer.wpe.weight": state["place_embedding.weight"],
    }
    if not settings.tied:
        tensors["lm_head.weight"] = state["head.weight"]
    for part in ("weight", "bias"):
        tensors[f"transformer.ln_f.{part}"] = state[f"norm.{part}"]
        for layer in range(settings.num_layers):
            ours, theirs = f"blocks.{layer}.", f"transformer.h.{layer}."
            tensors[f"{theirs}ln_1.{part}"] = state[f"{ours}attention_norm.{part}"]
            tensors[f"{theirs}ln_2.{part}"] = state[f"{ours}feed_forward_norm.{part}"]
    for layer in range(settings.num_layers):
        for name, theirs in (
            ("attention.qkv", "attn.c_attn"),
            ("attention.out", "attn.c_proj"),
            ("feed_forward.up", "mlp.c_fc"),
            ("feed_forward.down", "mlp.c_proj"),
        ):
            weight = state[f"blocks.{layer}.{name}.weight"]
            bias = state.get(f"blocks.{layer}.{name}.bias", torch.zeros(len(weight)))
            tensors |= {
                f"transformer.h.{layer}.{theirs}.weight": weight.T,
                f"transformer.h.{layer}.{theirs}.bias": bias,
            }
    return tensors


def _scaled_embedding(settings: DecoderSettings, state: dict[str, Tensor]) -> Tensor:
    scale = settings.model_dim**0.5 if settings.embedding_scale else 1.0
    return state["embedding.weight"] * scale


def _split_qkv(settings: DecoderSettings, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the input projection in three, in the order of rows that Llama has."""
    heads, kv_heads, width = settings.num_heads, settings.kv_heads, settings.head_width
    query, key, value = rows.split([heads * width, kv_heads * width, kv_heads * width])
    if settings.rope_pairing == "interleaved":
        query, key = in_halves(query, width), in_halves(key, width)
    return query, key, value


def _use(layout: str) -> str:
    return f"""    from transformers import AutoModelForCausalLM
    from etude.tokens.files import tokenizer_of_file

    model = AutoModelForCausalLM.from_pretrained("PATH_TO_THIS_FOLDER")  # {_CLASSES[layout]}
    tokenizer = tokenizer_of_file("PATH_TO_THIS_FOLDER/etude_tokenizer.json")
"""
