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
    step_memory_bytes,
)

VARIANTS = [
    {},
    {"positions": "relative"},
    {"positions": "relative", "relative_shared": True, "relative_span": 100, "head_dim": 48},
    {"norm": "layer", "feed_forward": "relu", "tied": True},
    {"norm": "layer", "feed_forward": "gelu", "dropout": 0.1},
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
    model = Decoder(settings, 100)
    ids_BT = torch.randint(0, 100, (16, 129))
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=value_bytes == 2):
        nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
    measured = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    foretold = activation_bytes(settings, num_tokens=16 * 128, value_bytes=value_bytes)
    assert nats.isfinite()
    assert measured == pytest.approx(foretold, rel=0.2)


def test_a_cache_has_the_bytes_that_were_said():
    settings = DecoderSettings(**SMALL)
    for length in (10, 500):
        assert cache_bytes(settings, batch_size=3, length=length) == Decoder(settings, 9).new_cache(3, length).nbytes


def test_flops_are_6_n_and_6_layers_width_context():
    settings = DecoderSettings(**SMALL)
    assert flops_per_token(settings, 100) == 6 * num_parameters(settings, 100) + 6 * 4 * 128 * 128


@pytest.mark.parametrize(("precision", "value_bytes", "weight_bytes"), [("float32", 4, 16), ("bfloat16", 2, 18)])
def test_a_step_needs_16_bytes_a_weight_or_18_with_a_copy_and_the_activations(precision, value_bytes, weight_bytes):
    settings = DecoderSettings(**SMALL)
    activations = activation_bytes(settings, num_tokens=3 * 128, value_bytes=value_bytes)
    total = step_memory_bytes(settings, 100, 3, precision)
    assert total == weight_bytes * num_parameters(settings, 100) + activations
