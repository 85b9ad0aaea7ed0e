"""Small decoders of every kind, saved as model folders, with weights that make a difference."""

import torch

import etude
from etude.model_folder import save_model
from etude.models import build_model, model_settings
from etude.tokens import build_tokenizer

SIZE = {"num_layers": 2, "model_dim": 32, "num_heads": 4, "ctx_len": 24, "ff_dim": 48}
GPT2 = {"norm": "layer", "feed_forward": "gelu_tanh", "positions": "learned", "biases": True}
KINDS = {
    "llama": {},
    "llama-grouped": {"num_kv_heads": 2, "tied": True, "norm_eps": 1e-6, "rope_base": 500_000.0},
    "llama-biases": {"biases": True, "head_dim": 12, "embedding_scale": True},
    "llama-interleaved": {"rope_pairing": "interleaved", "num_kv_heads": 1},
    "llama-linear": {"rope_scaling": "linear", "rope_factor": 4.0},
    "llama-yarn": {"rope_scaling": "yarn", "rope_factor": 2.0},
    "mistral": {"attention_window": 7, "num_kv_heads": 2},
    "aria": {"norm": "layer", "rope_base": 500_000.0},
    "gpt2": GPT2 | {"tied": True},
    "gpt2-untied": GPT2 | {"biases": False, "feed_forward": "gelu", "dropout": 0.1},
    "relative": {"norm": "layer", "feed_forward": "relu", "positions": "relative", "relative_span": 9},
    "relative-grouped": {"positions": "relative", "num_kv_heads": 2, "attention_window": 8},
    "classic": {
        "norm": "layer",
        "norm_placement": "post",
        "feed_forward": "relu",
        "biases": True,
        "positions": "relative",
        "relative_shared": True,
        "sinusoids": True,
        "head_bias": True,
    },
    "sinusoidal": {"positions": "sinusoidal", "final_norm": False},
}


def small_model(kind, folder):
    """A saved and loaded model of one kind; every parameter, norms and biases too, is away from where it begins."""
    tokenizer = build_tokenizer("performance")
    torch.manual_seed(4)
    network = build_model(model_settings({"kind": "decoder"} | SIZE | KINDS[kind]), tokenizer.vocab_size)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    save_model(folder, network, tokenizer, {"run": "abcd1234", "step": 7, "licences": {"CC0-1.0": 3}})
    return etude.load(folder)
