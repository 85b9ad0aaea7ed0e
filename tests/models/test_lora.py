"""Adapters: they begin at nothing, learn alone, and merge into a plain model."""

import pytest
import torch
from safetensors.torch import save_file

from etude.errors import ModelError
from etude.models import build_model, model_settings
from etude.models.lora import (
    GrownTable,
    LoraLinear,
    adapter_state,
    add_adapters,
    has_adapters,
    learn_rows,
    merged_state,
    with_adapters,
)
from etude.recipes import recipe

VOCAB = 40
SMALL = {"kind": "decoder", "num_layers": 2, "model_dim": 32, "num_heads": 4, "ff_dim": 48, "ctx_len": 24}
TARGETS = ("attention", "feed_forward")
VARIANTS = {
    "gated": {},
    "tied, relative": {"tied": True, "positions": "relative", "feed_forward": "relu", "norm": "layer"},
}


@pytest.fixture(params=list(VARIANTS.values()), ids=list(VARIANTS))
def settings(request):
    return model_settings(SMALL | request.param)


def model_of(settings, seed: int = 0):
    torch.manual_seed(seed)
    return build_model(settings, VOCAB)


def some_ids(batch: int = 3, length: int = 20) -> torch.Tensor:
    return torch.randint(0, VOCAB, (batch, length), generator=torch.Generator().manual_seed(1))


def learn(model, steps: int = 5) -> None:
    ids_BT = some_ids()
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-2)
    for _ in range(steps):
        model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0].backward()
        optimizer.step()
        optimizer.zero_grad()


def test_a_model_with_new_adapters_says_what_it_said(settings):
    model = model_of(settings)
    before = model(some_ids())
    add_adapters(model, rank=2, targets=TARGETS)
    assert torch.equal(model(some_ids()), before)
    assert has_adapters(model)


def test_adapters_alone_learn(settings):
    model = model_of(settings)
    plain = {name: weight.clone() for name, weight in model.state_dict().items()}
    add_adapters(model, rank=2, targets=TARGETS)
    before = model.loss(some_ids()[:, :-1], some_ids()[:, 1:])[0]
    learn(model)
    assert model.loss(some_ids()[:, :-1], some_ids()[:, 1:])[0] < before - 0.1
    unmerged = {name.replace(".base", ".weight"): weight for name, weight in model.state_dict().items()}
    assert all(torch.equal(unmerged[name], weight) for name, weight in plain.items())


def test_merged_a_plain_model_says_the_same(settings):
    """covers: MT-29 (partly), star-37 (partly)"""
    model = model_of(settings)
    plain = {name: weight.clone() for name, weight in model.state_dict().items()}
    add_adapters(model, rank=2, targets=TARGETS)
    learn(model)
    state = model.state_dict()
    merged = model_of(settings, seed=1)
    merged.load_state_dict(merged_state(state), strict=True)
    torch.testing.assert_close(merged(some_ids()), model(some_ids()), atol=2e-5, rtol=1e-4)
    laid_on_base = with_adapters(plain, adapter_state(state))
    assert all(torch.equal(laid_on_base[name], weight) for name, weight in merged_state(state).items())


def test_cached_decoding_sees_the_adapters(settings):
    model = model_of(settings)
    add_adapters(model, rank=2, targets=TARGETS)
    learn(model)
    model.eval()
    full_BTV = model(some_ids())
    cache = model.new_cache(3, 20)
    logits = [model.prefill(some_ids()[:, :5], cache)] + [model.step(some_ids()[:, t], cache) for t in range(5, 20)]
    torch.testing.assert_close(torch.stack(logits, 1), full_BTV[:, 4:], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["llama-small", "music-transformer-small"])
def test_the_file_of_an_adapter_is_below_1_percent_of_the_models(name, tmp_path):
    """covers: MT-29 (partly), star-37 (partly)"""
    model = build_model(recipe(name).model, 390)
    save_file(model.state_dict(), tmp_path / "base.safetensors")
    add_adapters(model, rank=None, targets=TARGETS)
    save_file(adapter_state(model.state_dict()), tmp_path / "adapter.safetensors")
    share = (tmp_path / "adapter.safetensors").stat().st_size / (tmp_path / "base.safetensors").stat().st_size
    assert 0.004 < share < 0.01


def test_new_rows_of_a_frozen_table_learn_alone():
    model = model_of(model_settings(SMALL))
    model.requires_grad_(False)
    places = torch.tensor([3, 39])
    learn_rows(model, places)
    before = {name: weight.clone() for name, weight in merged_state(model.state_dict()).items()}
    learn(model)
    after = merged_state(model.state_dict())
    changed = {name: (after[name] != before[name]).any(-1).nonzero().flatten().tolist() for name in before}
    assert {name for name, rows in changed.items() if rows} == {"embedding.weight", "head.weight"}
    assert changed["head.weight"] == [3, 39]
    assert set(changed["embedding.weight"]) <= {3, 39}
    assert isinstance(model.embedding, GrownTable)


def test_an_adapter_may_bring_rows_that_its_base_does_not_have():
    table = torch.arange(6.0).view(3, 2)
    adapters = {"embedding.places": torch.tensor([1, 4]), "embedding.added": torch.full((2, 2), 9.0)}
    grown = with_adapters({"embedding.weight": table}, adapters)["embedding.weight"]
    assert grown.tolist() == [[0, 1], [9, 9], [4, 5], [0, 0], [9, 9]]


def test_layers_are_chosen_by_a_part_of_their_name():
    model = model_of(model_settings(SMALL))
    add_adapters(model, rank=3, targets=("attention.out",))
    adapted = {name for name, layer in model.named_modules() if isinstance(layer, LoraLinear)}
    assert adapted == {"blocks.0.attention.out", "blocks.1.attention.out"}


def test_a_name_that_no_layer_has_is_refused_with_those_there_are():
    with pytest.raises(ModelError, match=r"no linear layer is named so; there are \['attention', 'feed_forward'\]"):
        add_adapters(model_of(model_settings(SMALL)), rank=1, targets=("atention",))


@pytest.mark.parametrize("changed", [{"model_dim": 16}, {"num_layers": 1}])
def test_an_adapter_of_another_model_is_refused(changed):
    model = model_of(model_settings(SMALL))
    add_adapters(model, rank=1, targets=TARGETS)
    other = model_of(model_settings(SMALL | changed)).state_dict()
    with pytest.raises(ModelError, match="it was learned on another model"):
        with_adapters(other, adapter_state(model.state_dict()))
