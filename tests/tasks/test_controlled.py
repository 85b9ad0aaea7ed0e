"""Controlled: what is told is learned, counts as it should, is kept with the model, and can be asked for."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import small_config, tune
from torch.nn import functional as F

import etude
from etude.cli.__main__ import main
from etude.data.corpus import Corpus
from etude.data.piece_conditions import PieceConditions
from etude.data.prepare import prepare
from etude.data.tokenize import tokenize
from etude.errors import SettingsError
from etude.generate.conditions import told
from etude.generate.sample import Sampling
from etude.generate.takes import replay
from etude.models import build_model
from etude.music.edit import transpose
from etude.music.midi import midi_bytes, write_midi
from etude.runs.identity import run_id
from etude.settings import identity_values
from etude.tasks import build_task
from etude.tokens import build_tokenizer
from etude.training.train import train

GENRE = {"name": "genre", "values": ["low", "high"]}
TOLD = [GENRE, {"name": "seconds_gone", "num_values": 8}, {"name": "sounding", "num_values": 5}]
ENDS_ONLY = {"eval_every_steps": 0, "checkpoint_every_steps": 0, "sample_takes": 0, "alarms": False}
PREFIX = {"kind": "control", "attributes": [GENRE]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Tunes, half of them two octaves lower, labelled so."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "midi").mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "genre"])
        for number in range(20):
            name = f"tune-{number:02d}.mid"
            score = tune(number)
            write_midi(transpose(score, -24) if number % 2 else score, folder / "midi" / name)
            rows.writerow([name, "low" if number % 2 else "high"])
    settings = {"workers": 1, "near_duplicates": False}
    prepare(folder / "midi", folder / "corpus", labels=folder / "labels.csv", **settings)
    return Corpus.open(folder / "corpus")


def config_of(corpus, *, told=(), prefix=False, task=None, **train_values):
    config = small_config(corpus.path, **train_values)
    model = config.model.plain() | {"dropout": 0.0, "positions": "rope", "conditions": {"attributes": list(told)}}
    data = config.data.plain() | {"transpose_semitones": 0} | ({"tokenizer": PREFIX} if prefix else {})
    return config.replace(model=model, data=data, task={"kind": "controlled"} | (task or {}))


def parts_of(corpus, **options):
    config = config_of(corpus, **options)
    tokenizer = build_tokenizer(**config.data.tokenizer.plain())
    torch.manual_seed(0)
    model = build_model(config.model, tokenizer.vocab_size)
    return build_task(config, corpus, tokenizer, say=lambda line: None), model


@pytest.fixture(scope="module", params=[{"told": TOLD}, {"prefix": True}], ids=["embedded", "prefix"])
def trained(request, corpus, tmp_path_factory):
    """A short training of either way to tell."""
    config = config_of(corpus, **request.param, **ENDS_ONLY, num_steps=60, batch_tokens=512, micro_batch_tokens=None)
    config = config.replace(task=config.task.replace(drop_each=0.0, drop_all=0.0))
    config = config.replace(optim=config.optim.replace(peak_lr=2e-2, warmup_steps=2, schedule_steps=60))
    return train(config, runs_dir=tmp_path_factory.mktemp("runs"))


def test_what_was_told_is_played(trained):
    """covers: MT-7 (partly), K40 (partly), star-43, star-44"""
    model = etude.load(trained.path)
    pitch = {}
    for genre in ("low", "high"):
        takes = model.generate(3, tokens=60, attributes={"genre": genre}, sampling=Sampling(temperature=0.5))
        pitch[genre] = np.concatenate([take.score.notes.pitch for take in takes]).mean()
    assert pitch["low"] + 12 < pitch["high"]


def test_a_take_that_was_asked_for_is_replayed_from_its_recipe(trained, tmp_path):
    """covers: MT-14 (partly)"""
    model = etude.load(trained.path)
    for exact in (False, True):
        options = {"tokens": 30, "seed": 3, "exact": exact, "prompt": tune(1, num_notes=4)}
        take = model.generate(2, attributes={"genre": "low"}, **options)[1]
        assert take.recipe["attributes"] == {"genre": "low"}
        midi_path, recipe_path = take.save(tmp_path, f"take-{exact}")
        again, differences = replay(model.network, model.tokenizer, recipe_path, model=model.name)
        assert differences == []
        assert midi_bytes(again.score) == midi_path.read_bytes()
        other = model.generate(2, attributes={"genre": "high"}, **options)[1]
        assert midi_bytes(other.score) != midi_path.read_bytes()


def test_attributes_are_asked_for_from_the_command_line(trained, tmp_path, capsys):
    """covers: MT-14 (partly), K40 (partly)"""
    words = ["generate", str(trained.path), "--tokens", "20", "--out", str(tmp_path), "--json"]
    assert main([*words, "--attributes", "genre=low"]) == 0
    recipe = json.loads(capsys.readouterr().out)["takes"][0]["recipe"]
    assert json.loads(Path(recipe).read_text())["attributes"] == {"genre": "low"}
    assert main([*words, "--attributes", "gnre=low"]) == 1
    assert "attribute 'gnre': the model has no such condition; there are: genre" in capsys.readouterr().err
    assert main([*words, "--attributes", "genre=loud"]) == 1
    assert "genre = 'loud'" in capsys.readouterr().err
    assert main([*words, "--attributes", "genre"]) == 1
    assert "expected name=value,name=value" in capsys.readouterr().err


def test_a_model_without_conditions_cannot_be_asked(tmp_path, corpus):
    config = small_config(corpus.path, **ENDS_ONLY, num_steps=0)
    model = etude.load(train(config, runs_dir=tmp_path).path)
    with pytest.raises(SettingsError, match="this model was trained without any"):
        model.generate(tokens=5, attributes={"genre": "low"})
    assert model.generate(tokens=5, attributes={})[0].recipe["prompt_ids"] == []


def test_what_is_counted_from_token_to_token_cannot_be_asked_for(corpus, tmp_path):
    model = etude.load(train(config_of(corpus, told=TOLD, **ENDS_ONLY, num_steps=0), runs_dir=tmp_path).path)
    with pytest.raises(SettingsError, match="condition sounding = 3: it is counted from token to token"):
        model.generate(tokens=5, attributes={"sounding": 3})


def test_generation_is_told_what_training_told_of_the_same_ids(corpus, tmp_path):
    """covers: MT-7 (partly)"""
    model = etude.load(train(config_of(corpus, told=TOLD, **ENDS_ONLY, num_steps=0), runs_dir=tmp_path).path)
    shards, settings = tokenize(corpus, model.tokenizer), model.network.settings.conditions
    conditions = PieceConditions(settings, shards, corpus, small_config(corpus.path).data)
    row = next(number for number, piece in enumerate(corpus.pieces()) if piece.labels["genre"] == "low")
    ids = shards.ids(row).astype(np.int64)
    seconds = float(model.tokenizer.note_timing.advance_sec[ids].astype(np.float64).sum())
    network = told(model.network, model.tokenizer, {"genre": "low"}, seconds=round(seconds, 6), tokens=None)
    read = torch.from_numpy(np.append(model.tokenizer.end_id, ids[:-1]))[None]
    cache = network.new_cache(1, read.shape[1])
    found = [network.prefill(read[:, :7], cache), *(network.step(one, cache) for one in read[0, 7:, None])]
    rows_BTC = torch.from_numpy(conditions.of_ids(row, ids))[None]
    with torch.inference_mode():
        expected = F.linear(model.network.hidden(read, None, None, rows_BTC), model.network.head_weight)[:, 6:]
    torch.testing.assert_close(torch.stack(found, dim=1), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("loss", ["music", "everything"])
def test_a_prefix_gets_no_gradient_as_a_target_of_music_alone(corpus, loss):
    """covers: MT-23"""
    task, model = parts_of(corpus, prefix=True, task={"loss": loss})
    batch, states = task.train_batch(0), []
    model.norm.register_forward_hook(
        lambda _module, _inputs, out: states.append(out.requires_grad_()) or out.retain_grad()
    )
    task.loss(model, batch).nats.backward()
    gets_gradient = states[0].grad.abs().amax(-1) > 0
    said_BT, counts_BT = batch[:, 1:, 0], batch[:, 1:, 1] == 1
    control = torch.from_numpy(task.shards.tokenizer.control.ids.astype(np.int64))
    is_prefix = torch.isin(said_BT, control)
    assert torch.equal(gets_gradient, counts_BT)
    assert is_prefix.any()
    assert bool((gets_gradient & is_prefix).any()) == (loss == "everything")
    assert gets_gradient[~is_prefix].sum() >= (~is_prefix).sum() - len(batch)


def test_micro_batches_add_up_to_the_loss_of_the_batch(corpus):
    task, model = parts_of(corpus, prefix=True, told=TOLD)
    batch = task.train_batch(2)
    with torch.no_grad():
        whole = task.loss(model, batch)
        parts = [task.loss(model, batch[row : row + 1]) for row in range(len(batch))]
    assert float(sum(part.nats for part in parts)) / len(parts) == pytest.approx(float(whole.nats), rel=1e-5)
    assert float(sum(part.num_correct for part in parts)) == pytest.approx(float(whole.num_correct), rel=1e-5)


def test_evaluation_equals_scoring_each_piece_in_one_pass(corpus):
    config = {"told": TOLD, "prefix": True}
    task, model = parts_of(corpus, **config)
    long = config_of(corpus, **config)
    long = long.replace(model=long.model.replace(ctx_len=256), train=long.train.replace(batch_tokens=256))
    tokenizer = build_tokenizer(**long.data.tokenizer.plain())
    task, model = build_task(long, corpus, tokenizer, say=print), build_model(long.model, tokenizer.vocab_size).eval()
    nats, count = 0.0, 0
    with torch.inference_mode():
        found = task.evaluate(model)
        for row in task.shards.split_rows("valid"):
            ids = task.shards.ids(row).astype(np.int64)
            targets = torch.from_numpy(ids)
            read = torch.cat([torch.tensor([tokenizer.end_id]), targets[:-1]])[None]
            rows_BTC = torch.from_numpy(task._told.conditions.of_ids(int(row), ids))[None]
            logits = F.linear(model.hidden(read, None, None, rows_BTC), model.head_weight)[0]
            nats += float(F.cross_entropy(logits[2:], targets[2:], reduction="sum"))
            count += len(targets) - 2
    assert found["nats_per_token"] == pytest.approx(nats / count, rel=1e-5)


def test_training_that_tells_nothing_is_next_token(corpus, tmp_path):
    """covers: MT-7 (partly)"""
    silent = config_of(corpus, told=[GENRE], task={"drop_all": 1.0}, **ENDS_ONLY, num_steps=6)
    plain = small_config(corpus.path, **ENDS_ONLY, num_steps=6)
    plain = plain.replace(model=silent.model.replace(conditions={"attributes": []}), data=silent.data)
    found = [train(config, runs_dir=tmp_path) for config in (silent, plain)]
    assert found[0].run != found[1].run
    trained = [etude.load(one.path).network for one in found]
    for name, weight in trained[1].state_dict().items():
        assert torch.equal(weight, trained[0].state_dict()[name]), name


def test_a_stopped_run_goes_on_to_the_same_numbers(corpus, tmp_path):
    config = config_of(corpus, told=TOLD, prefix=True, **ENDS_ONLY, num_steps=6)
    whole = train(config, runs_dir=tmp_path / "whole")
    train(config.replace(train=config.train.replace(num_steps=4)), runs_dir=tmp_path / "parts")
    parts = train(config, runs_dir=tmp_path / "parts")
    assert (parts.run, parts.valid) == (whole.run, whole.valid)


def test_a_run_without_conditions_keeps_its_id(corpus):
    config = small_config(corpus.path)
    values = config.plain()
    assert values["model"].pop("conditions") == {"attributes": [], "join": "add", "width": 36}
    assert "conditions" not in json.dumps(identity_values(config))
    assert run_id(config, "c", "t") == run_id(type(config).parse(values), "c", "t")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": {"kind": "next_token"}, "told": [GENRE]}, "this task tells it none; set task=controlled"),
        ({}, "there is nothing to tell; give data.tokenizer=control"),
    ],
)
def test_a_task_that_does_not_fit_its_model_is_refused(corpus, options, message):
    with pytest.raises(SettingsError, match=message):
        parts_of(corpus, **options)
