"""Training starts from another model's weights: all of them or a part, with more ids, and knows where it came from."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_runs import make_corpus, small_config

from etude.errors import ModelError, SettingsError
from etude.model_folder import digest_of, load
from etude.models import build_model
from etude.runs.definition import read_config
from etude.runs.find import children_of, summarize
from etude.runs.identity import run_id
from etude.runs.records import read_records
from etude.settings import identity_values
from etude.tokens import tokenizer_of
from etude.training.start import begin, pin_start
from etude.training.train import train

CONTROL = {
    "kind": "control",
    "base": {"kind": "performance"},
    "attributes": [{"name": "note_density", "thresholds": [2.0, 3.0]}],
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder with a corpus and a run of a model with a head of its own."""
    folder = tmp_path_factory.mktemp("base")
    config = small_config(make_corpus(folder), num_steps=8, sample_takes=0)
    return train(config.replace(model=config.model.replace(num_layers=2)), runs_dir=folder / "runs")


@pytest.fixture
def config(base):
    """Settings that start from the base: nothing else is changed."""
    stored = json.loads((base.path / "config.json").read_text())
    made = small_config(stored["data"]["corpus"], num_steps=4, sample_takes=0)
    made = made.replace(model=made.model.replace(num_layers=2, dropout=0.0))
    return made.replace(start={"model": str(base.path)})


def weights_of(path) -> dict:
    return load_file(path / "best" / "loss" / "model.safetensors")


def built(config, lines: list[str] | None = None):
    tokenizer = tokenizer_of(config.data.tokenizer)
    torch.manual_seed(9)
    model = build_model(config.model, tokenizer.vocab_size)
    begin(model, config, tokenizer, say=(lines if lines is not None else []).append)
    return model.eval()


def trained(config, tmp_path, **train_settings):
    return train(config.replace(train=config.train.replace(**train_settings)), runs_dir=tmp_path)


def test_step_0_is_the_model_that_it_starts_from_and_the_run_knows_its_parent(base, config, tmp_path):
    """covers: MT-29 (partly)"""
    run = trained(config, tmp_path, num_steps=0)
    assert run.valid == pytest.approx(json.loads((base.path / "best/loss/config.json").read_text())["valid"])
    assert all(torch.equal(weight, weights_of(base.path)[name]) for name, weight in weights_of(run.path).items())
    definition = read_config(run.path)
    assert definition.parent == base.run
    assert definition.settings["start"]["digest"] == digest_of(base.path / "best" / "loss")
    assert json.loads((run.path / "best/loss/config.json").read_text())["start"]["digest"]


def test_another_schedule_makes_a_child_that_its_parent_lists(base, config):
    other = config.replace(optim=config.optim.replace(schedule="constant"))
    child = train(other, runs_dir=base.path.parent)
    assert child.run != base.run
    assert children_of(summarize(base.path)) == [child.run]


def test_the_weights_are_part_of_a_runs_identity_and_their_folder_is_not(base, config, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(base.path / "best" / "loss", copy)
    ids = {run_id(pin_start(one), "c", "t") for one in (config, config.replace(start={"model": str(copy)}))}
    assert len(ids) == 1
    weights = load_file(copy / "model.safetensors")
    save_file({name: weight + 1 for name, weight in weights.items()}, copy / "model.safetensors")
    assert run_id(pin_start(config.replace(start={"model": str(copy)})), "c", "t") not in ids
    assert "start" not in identity_values(config.replace(start={}))


def test_other_weights_in_the_folder_of_a_stored_run_are_refused(config):
    start = {"model": config.start.model, "digest": "0" * 16}
    with pytest.raises(ModelError, match="the run started from 0000000000000000; name the folder"):
        pin_start(config.replace(start=start))


def test_a_frozen_run_changes_head_weights_only(base, config, tmp_path):
    """covers: MT-29 (partly)"""
    run = trained(config.replace(start=config.start.replace(trains="head")), tmp_path)
    after = load_file(run.path / "checkpoints" / "step-00000004" / "model.safetensors")
    before = weights_of(base.path)
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"head.weight"}


def test_the_last_block_and_the_head_can_be_trained_alone(config):
    model = built(config.replace(start=config.start.replace(trains="last_block")))
    trained_names = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert {name.split(".")[0] for name in trained_names} == {"blocks", "norm", "head"}
    assert all(name.startswith("blocks.1.") for name in trained_names if name.startswith("blocks."))


def test_a_head_that_is_the_embedding_is_refused_where_it_alone_may_change(base, config, tmp_path):
    tied = train(config.replace(model=config.model.replace(tied=True), start={}), runs_dir=tmp_path)
    start = {"model": str(tied.path), "trains": "head"}
    wrong = config.replace(model=config.model.replace(tied=True), start=start)
    with pytest.raises(ModelError, match="add model.tied=false"):
        built(wrong)
    untied = built(config.replace(start=start))
    assert torch.equal(untied.head.weight, untied.embedding.weight)


def test_of_a_renamed_tensor_the_rest_is_taken_over_when_that_is_asked_for(base, config, tmp_path):
    """covers: B22"""
    folder = tmp_path / "renamed"
    shutil.copytree(base.path / "best" / "loss", folder)
    weights = load_file(folder / "model.safetensors")
    weights["blocks.0.attention.output.weight"] = weights.pop("blocks.0.attention.out.weight")
    save_file(weights, folder / "model.safetensors")
    whole = config.replace(start={"model": str(folder)})
    with pytest.raises(ModelError) as caught:
        built(whole)
    for part in (
        "not in the folder: blocks.0.attention.out.weight",
        "not in this model: blocks.0.attention.output.weight",
        "start.partial=true",
    ):
        assert part in str(caught.value)
    lines: list[str] = []
    model = built(whole.replace(start=whole.start.replace(partial=True)), lines)
    own = model.state_dict()
    assert {name for name in own if name not in weights} == {"blocks.0.attention.out.weight"}
    assert all(torch.equal(own[name], weights[name]) for name in own if name in weights)
    assert "blocks.0.attention.out.weight" in lines[0]
    assert f"{len(own) - 1} of {len(own)} tensors are taken over" in lines[0]


def test_a_model_of_another_width_is_refused_tensor_by_tensor(config):
    with pytest.raises(ModelError, match=r"of another shape: .*norm.weight \(16,\), \(20,\) here"):
        built(config.replace(model=config.model.replace(model_dim=20)))


def test_a_tokenizer_whose_ids_mean_something_else_is_refused(config):
    data = config.data.replace(tokenizer={"kind": "performance", "pedal": "ignore"})
    with pytest.raises(ModelError, match="ids mean something else; take the model's"):
        built(config.replace(data=data))


@pytest.fixture
def controlled(config):
    """The same settings with control tokens, which are new to the base."""
    return config.replace(data=config.data.replace(tokenizer=CONTROL))


def test_a_vocabulary_may_grow_and_old_ids_keep_what_they_have_learned(config, controlled):
    lines: list[str] = []
    old, new = built(config), built(controlled, lines)
    size = old.vocab_size
    assert new.vocab_size == size + 5
    assert torch.equal(new.embedding.weight[:size], old.embedding.weight)
    torch.testing.assert_close(new.embedding.weight[size:], old.embedding.weight.mean(0).expand(5, -1))
    ids_BT = torch.randint(0, size, (2, 20))
    torch.testing.assert_close(new(ids_BT)[..., :size], old(ids_BT))
    assert lines == [f"5 of {size + 5} ids are new to the model; they begin as the mean of the others"]


def test_a_model_with_more_ids_gives_those_that_a_smaller_vocabulary_has(controlled, config, tmp_path):
    run = trained(controlled, tmp_path, num_steps=0)
    back = built(config.replace(start={"model": str(run.path)}))
    assert torch.equal(back.embedding.weight, built(config).embedding.weight)


@pytest.mark.parametrize("trains", ["head", "lora"])
def test_what_is_frozen_still_learns_ids_that_are_new(controlled, trains, tmp_path):
    run = trained(controlled.replace(start=controlled.start.replace(trains=trains)), tmp_path)
    before, after = weights_of(trained(controlled, tmp_path, num_steps=0).path), load(run.path).network.state_dict()
    changed = (before["embedding.weight"] != after["embedding.weight"]).any(1).nonzero().flatten().tolist()
    size = len(before["embedding.weight"])
    assert set(changed) <= set(range(size - 5, size))
    assert changed


@pytest.fixture
def adapted(config, tmp_path):
    """A run that learned adapters."""
    start = config.start.replace(trains="lora", lora_rank=2)
    optim = config.optim.replace(peak_lr=0.05)
    return train(config.replace(start=start, optim=optim), runs_dir=tmp_path / "lora")


def test_an_adapter_is_a_small_folder_that_gives_the_whole_model_on_its_base(base, adapted):
    """covers: MT-29 (partly), star-37 (partly)"""
    best = adapted.path / "best" / "loss"
    whole, laid = load(best), load(best / "adapter")
    assert all(torch.equal(a, b) for a, b in zip(whole.network.parameters(), laid.network.parameters(), strict=True))
    assert not torch.equal(
        whole.network.blocks[0].attention.qkv.weight, weights_of(base.path)["blocks.0.attention.qkv.weight"]
    )
    names = set(load_file(best / "adapter" / "adapter.safetensors"))
    assert {name.rpartition(".")[2] for name in names} == {"lora_a", "lora_b"}


def test_an_adapter_without_its_base_or_on_another_says_so(adapted, base, config, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(adapted.path / "best" / "loss" / "adapter", folder)
    other = trained(config.replace(start={}), tmp_path)
    with pytest.raises(ModelError, match="give the model that it was learned on"):
        load(folder, base=other.path)
    described = json.loads((folder / "config.json").read_text())
    described["start"]["model"] = str(tmp_path / "gone")
    (folder / "config.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match="no longer at .*gone; name their folder: etude merge"):
        load(folder)
    assert load(folder, base=base.path).digest == load(adapted.path / "best" / "loss" / "adapter").digest


def test_an_interrupted_run_of_adapters_goes_on_bit_equal(config, tmp_path):
    """covers: MT-29 (partly)"""
    start = config.start.replace(trains="lora", lora_rank=2)
    config = config.replace(start=start, model=config.model.replace(dropout=0.1))
    whole = trained(config, tmp_path / "whole", num_steps=6)
    trained(config, tmp_path / "parts", num_steps=3)
    parts = trained(config, tmp_path / "parts", num_steps=6)
    last = "checkpoints/step-00000006/model.safetensors"
    assert (whole.path / last).read_bytes() == (parts.path / last).read_bytes()


def test_a_run_ends_when_its_patience_does_and_the_same_command_adds_nothing(config, tmp_path):
    worse = config.replace(optim=config.optim.replace(peak_lr=10.0, warmup_steps=1))
    budget = {"num_steps": 20, "eval_every_steps": 1, "patience": 2}
    run = trained(worse, tmp_path, **budget)
    losses = [one["nats_per_token"] for one in read_records(run.path / "metrics.jsonl", kind="valid")]
    assert run.step < 20
    assert min(losses) == losses[-3]
    assert trained(worse, tmp_path, **budget).step == run.step
    assert trained(worse, tmp_path, **budget | {"patience": 4}).step > run.step


def test_what_is_trained_needs_weights_to_start_from(config):
    with pytest.raises(SettingsError, match="only with weights to start from; give start.model=FOLDER"):
        config.replace(start={"trains": "lora"})
