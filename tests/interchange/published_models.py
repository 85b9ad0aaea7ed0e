"""Published models written down plainly: random weights under their names, and their forward pass in float64.

Written from the descriptions, one formula a line, with nothing of etude in it: what the importers are compared with.
"""

import math

import torch
from torch.nn import functional as F

ARIA_VOCAB, PERFORMANCE_VOCAB, ANTICIPATION_VOCAB = 2_675, 390, 55_028


def weights(shapes, seed):
    """Random weights: norms near 1, all else small enough for softmax to have something to choose."""
    torch.manual_seed(seed)
    drawn = {name: torch.randn(shape) * 0.15 for name, shape in shapes.items()}
    return {
        name: 1 + w if "norm" in name and name.endswith("weight") and w.ndim == 1 else w for name, w in drawn.items()
    }


def causal_softmax(logits):
    length = logits.shape[-1]
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    return logits.masked_fill(future, -math.inf).softmax(-1)


def layer_norm(x, state, name, eps=1e-5):
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    return (x - mean) / (variance + eps).sqrt() * state[f"{name}.weight"] + state[f"{name}.bias"]


def heads_of(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def joined(x):
    return x.transpose(1, 2).flatten(2)


# ---- Aria


def aria(*, width=128, layers=2, inner=4 * 128, vocab=ARIA_VOCAB, seed=1):
    shapes = {
        "model.tok_embeddings.weight": (vocab, width),
        "model.out_layer_norm.weight": (width,),
        "model.out_layer_norm.bias": (width,),
        "lm_head.weight": (vocab, width),
    }
    for layer in range(layers):
        place = f"model.encode_layers.{layer}."
        shapes |= {
            place + "mixed_qkv.weight": (3 * width, width),
            place + "att_proj_linear.weight": (width, width),
            place + "ff_gate_proj.weight": (inner, width),
            place + "ff_up_proj.weight": (inner, width),
            place + "ff_down_proj.weight": (width, inner),
        }
        shapes |= {f"{place}{norm}.{part}": (width,) for norm in ("norm1", "norm2") for part in ("weight", "bias")}
    return weights(shapes, seed)


def turned(x, base):
    """Rotate feature i with feature i + half by position / base ** (i / half)."""
    length, half = x.shape[-2], x.shape[-1] // 2
    angle = torch.arange(length, dtype=x.dtype)[:, None] / base ** (torch.arange(half, dtype=x.dtype) / half)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()], -1)


def aria_logits(state, ids, *, heads=2, layers=2):
    state = {name: tensor.double() for name, tensor in state.items()}
    x = state["model.tok_embeddings.weight"][ids]
    for layer in range(layers):
        own = {name.split(f"encode_layers.{layer}.")[-1]: w for name, w in state.items()}
        y = layer_norm(x, own, "norm1")
        q, k, v = (heads_of(part, heads) for part in (y @ own["mixed_qkv.weight"].T).chunk(3, -1))
        q, k = turned(q, 500_000.0), turned(k, 500_000.0)
        x = x + joined(causal_softmax(q @ k.mT / q.shape[-1] ** 0.5) @ v) @ own["att_proj_linear.weight"].T
        y = layer_norm(x, own, "norm2")
        gate, value = y @ own["ff_gate_proj.weight"].T, y @ own["ff_up_proj.weight"].T
        x = x + (gate * gate.sigmoid() * value) @ own["ff_down_proj.weight"].T
    return layer_norm(x, state, "model.out_layer_norm") @ state["lm_head.weight"].T


# ---- Music Transformer


def sinusoids(length, width):
    table = torch.zeros(length, width, dtype=torch.float64)
    for feature in range(0, width, 2):
        angle = torch.arange(length, dtype=torch.float64) / 10_000 ** (feature / width)
        table[:, feature], table[:, feature + 1] = angle.sin(), angle.cos()
    return table


def music_transformer(*, relative, width=32, layers=2, inner=48, length=40, head_width=4, seed=2):
    shapes = {
        "embedding.weight": (PERFORMANCE_VOCAB, width),
        "Wout.weight": (PERFORMANCE_VOCAB, width),
        "Wout.bias": (PERFORMANCE_VOCAB,),
        "transformer.encoder.norm.weight": (width,),
        "transformer.encoder.norm.bias": (width,),
    }
    for layer in range(layers):
        place = f"transformer.encoder.layers.{layer}."
        shapes |= {
            place + "self_attn.in_proj_weight": (3 * width, width),
            place + "self_attn.in_proj_bias": (3 * width,),
            place + "self_attn.out_proj.weight": (width, width),
            place + "self_attn.out_proj.bias": (width,),
            place + "linear1.weight": (inner, width),
            place + "linear1.bias": (inner,),
            place + "linear2.weight": (width, inner),
            place + "linear2.bias": (width,),
        }
        if relative:
            shapes[place + "self_attn.Er"] = (length, head_width)
        shapes |= {f"{place}{norm}.{part}": (width,) for norm in ("norm1", "norm2") for part in ("weight", "bias")}
    return weights(shapes, seed) | {"positional_encoding.pe": sinusoids(length, width).float()[:, None]}


def music_transformer_logits(state, ids, *, heads=8, layers=2):
    state = {name: tensor.double() for name, tensor in state.items()}
    length = ids.shape[1]
    x = state["embedding.weight"][ids] + state["positional_encoding.pe"][:length, 0]
    for layer in range(layers):
        own = {name.split(f"encoder.layers.{layer}.")[-1]: w for name, w in state.items()}
        qkv = x @ own["self_attn.in_proj_weight"].T + own["self_attn.in_proj_bias"]
        q, k, v = (heads_of(part, heads) for part in qkv.chunk(3, -1))
        logits = q @ k.mT
        if "self_attn.Er" in own:
            table = own["self_attn.Er"]  # one row a distance, the last is distance 0; all heads share it
            for query in range(length):
                for key in range(query + 1):
                    logits[:, :, query, key] += q[:, :, query] @ table[len(table) - 1 - (query - key)]
        found = joined(causal_softmax(logits / q.shape[-1] ** 0.5) @ v)
        found = found @ own["self_attn.out_proj.weight"].T + own["self_attn.out_proj.bias"]
        x = layer_norm(x + found, own, "norm1")
        inner = (x @ own["linear1.weight"].T + own["linear1.bias"]).clamp(min=0)
        x = layer_norm(x + inner @ own["linear2.weight"].T + own["linear2.bias"], own, "norm2")
    return layer_norm(x, state, "transformer.encoder.norm") @ state["Wout.weight"].T + state["Wout.bias"]


# ---- Anticipatory Music Transformer


def anticipation(*, width=64, layers=2, length=48, vocab=ANTICIPATION_VOCAB, prefix="transformer.", seed=3):
    shapes = {
        "wte.weight": (vocab, width),
        "wpe.weight": (length, width),
        "ln_f.weight": (width,),
        "ln_f.bias": (width,),
    }
    for layer in range(layers):
        place = f"h.{layer}."
        for name, rows, columns in (
            ("attn.c_attn", width, 3 * width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", width, 4 * width),
            ("mlp.c_proj", 4 * width, width),
        ):
            shapes |= {f"{place}{name}.weight": (rows, columns), f"{place}{name}.bias": (columns,)}
        shapes |= {f"{place}{norm}.{part}": (width,) for norm in ("ln_1", "ln_2") for part in ("weight", "bias")}
    return {prefix + name: tensor for name, tensor in weights(shapes, seed).items()}


def anticipation_logits(state, ids, *, heads=1, layers=2, divide_by_layer=True):
    state = {name.removeprefix("transformer."): tensor.double() for name, tensor in state.items()}
    x = state["wte.weight"][ids] + state["wpe.weight"][: ids.shape[1]]
    for layer in range(layers):
        own = {name.removeprefix(f"h.{layer}."): w for name, w in state.items()}
        y = layer_norm(x, own, "ln_1")
        qkv = y @ own["attn.c_attn.weight"] + own["attn.c_attn.bias"]
        q, k, v = (heads_of(part, heads) for part in qkv.chunk(3, -1))
        logits = q @ k.mT / q.shape[-1] ** 0.5
        if divide_by_layer:
            logits = logits / (layer + 1)
        x = x + joined(causal_softmax(logits) @ v) @ own["attn.c_proj.weight"] + own["attn.c_proj.bias"]
        y = layer_norm(x, own, "ln_2") @ own["mlp.c_fc.weight"] + own["mlp.c_fc.bias"]
        y = F.gelu(y, approximate="tanh")
        x = x + y @ own["mlp.c_proj.weight"] + own["mlp.c_proj.bias"]
    return layer_norm(x, state, "ln_f") @ state["wte.weight"].T
