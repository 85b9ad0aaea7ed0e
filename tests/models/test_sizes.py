"""Costs that are said beforehand against what a model has and keeps."""

import pytest
import torch

from etude.models.decoder import Decoder
from etude.models.settings import DecoderSettings
from etude.models.sizes import (
    activation_bytes,
    cache_bytes,
    flops_per_token,
    num_parameters,
    step_memory,
)

VARIANTS = [
    {},
    {"positions": "relative"},
    {"positions": "relative", "relative_shared": True, "relative_span": 100, "head_dim": 48},
    {"norm": "layer", "feed_forward": "relu", "tied": True},
    {"norm": "layer", "feed_forward": "gelu", "dropout": 0.1},
    {"num_kv_heads": 2, "biases": True, "attention_window": 32, "ctx_len": 256},
    {"positions": "learned", "norm": "layer", "biases": True, "feed_forward": "gelu_tanh", "tied": True},
    {"positions": "relative", "sinusoids": True, "norm": "layer", "norm_placement": "post", "head_bias": True},
    {"positions": "sinusoidal", "final_norm": False, "feed_forward": "relu", "inner_dropout": 0.1},
]
SMALL = {"num_layers": 4, "model_dim": 128, "num_heads": 4, "ff_dim": 256, "ctx_len": 128}


@pytest.mark.parametrize("changes", VARIANTS)
def test_parameters_are_counted_without_making_them(changes):
    settings = DecoderSettings(**SMALL | changes)
    with torch.device("meta"):
        model = Decoder(settings, 390)
    assert num_parameters(settings, 390) == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("value_bytes", [2, 4])
@pytest.mark.parametrize("changes", VARIANTS)
def test_what_the_forward_pass_keeps_is_foretold_within_20_percent(changes, value_bytes):
    settings = DecoderSettings(**SMALL | changes)
    rows = 2048 // settings.ctx_len
    foretold = activation_bytes(settings, num_tokens=2048, value_bytes=value_bytes)
    assert kept_bytes(settings, rows, value_bytes) == pytest.approx(foretold, rel=0.2)


def test_what_blocks_keep_that_run_again_is_foretold_within_20_percent():
    settings = DecoderSettings(**SMALL | {"num_layers": 12})
    foretold = activation_bytes(settings, num_tokens=2048, recompute=True)
    # one block at a time has everything, in the backward pass, which is not seen here
    inside = activation_bytes(settings.replace(num_layers=1), num_tokens=2048)
    assert kept_bytes(settings, 16, 2, recompute=True) == pytest.approx(foretold - inside, rel=0.2)


def kept_bytes(settings: DecoderSettings, rows: int, value_bytes: int, *, recompute: bool = False) -> int:
    """Return the bytes that the forward pass of a loss keeps, but for the weights."""
    model = Decoder(settings, 100)
    model.recompute_activations = recompute
    ids_BT = torch.randint(0, 100, (rows, settings.ctx_len + 1))
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=value_bytes == 2):
        nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
    assert nats.isfinite()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("changes", [{}, {"num_kv_heads": 1}, {"attention_window": 30}])
def test_a_cache_has_the_bytes_that_were_said(changes):
    settings = DecoderSettings(**SMALL | changes)
    for length in (10, 500):
        assert cache_bytes(settings, batch_size=3, length=length) == Decoder(settings, 9).new_cache(3, length).nbytes


def test_flops_are_6_n_and_6_layers_width_context():
    settings = DecoderSettings(**SMALL)
    assert flops_per_token(settings, 100) == 6 * num_parameters(settings, 100) + 6 * 4 * 128 * 128


def test_a_window_counts_the_tokens_that_are_seen():
    settings = DecoderSettings(**SMALL | {"attention_window": 32})
    seen = sum(min(position + 0.5, 32) for position in range(128)) / 128
    attention = flops_per_token(settings, 100) - 6 * num_parameters(settings, 100)
    assert attention == pytest.approx(12 * 4 * 128 * seen, rel=0.01)


@pytest.mark.parametrize(("precision", "value_bytes", "weight_bytes"), [("float32", 4, 16), ("bfloat16", 2, 18)])
def test_a_step_needs_16_bytes_a_weight_or_18_with_a_copy_and_the_activations(precision, value_bytes, weight_bytes):
    settings = DecoderSettings(**SMALL)
    memory = step_memory(settings, 100, 3, precision)
    assert memory.pop("activations") == activation_bytes(settings, num_tokens=3 * 128, value_bytes=value_bytes)
    assert memory.pop("work") > 0
    assert sum(memory.values()) == weight_bytes * num_parameters(settings, 100)


def test_prodigy_remembers_four_values_a_weight():
    settings = DecoderSettings(**SMALL)
    assert step_memory(settings, 100, 3, "float32", optimizer="prodigy")["optimizer"] == (
        16 * num_parameters(settings, 100)
    )
