"""Every recipe trains at toy size, through the real command."""

import json

import pytest

from etude.cli.__main__ import main
from etude.recipes import RECIPES, recipe


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_it_trains_at_toy_size(name, tmp_path, monkeypatch, capsys):
    """covers: K51"""
    monkeypatch.setenv("ETUDE_RUNS", str(tmp_path))
    argv = ["train", name, "model=toy", "train=toy", "train.num_steps=2", "train.batch_tokens=256"]
    config = recipe(name)
    if getattr(config.model, "relative_span", None):
        argv.append("model.relative_span=32")
    if config.data.tokenizer.kind == "absolute":
        argv.append("train.sample_takes=0")  # 20 s of music drawn from 17,727 ids at a time take 10 s
    assert main([*argv, "train.eval_pieces=1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= {"run", "path", "step", "seconds", "valid"}
    assert document["step"] == 2
    assert set(document["valid"]) >= {"nats_per_token", "nats_per_note", "nats_per_sec", "accuracy"}
    assert (tmp_path / document["run"] / "best" / "loss" / "model.safetensors").is_file()
