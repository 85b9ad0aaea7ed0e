"""A model folder is all that is needed, and nothing in it is executed."""

import json
import os
import subprocess
import sys

import pytest
import torch

from etude.errors import ModelError
from etude.model_folder import load, save_model
from etude.models import build_model
from etude.models.settings import DecoderSettings
from etude.tokens import build_tokenizer

TOK = build_tokenizer("performance")


def save(folder, *, tied=False):
    torch.manual_seed(0)
    sizes = {"num_layers": 1, "model_dim": 32, "num_heads": 2, "ff_dim": 64, "ctx_len": 64, "tied": tied}
    facts = {"run": "abc", "step": 3, "corpus": "d1", "licences": {"CC0": 2}, "valid": {"nats_per_token": 1.5}}
    return save_model(folder, build_model(DecoderSettings(**sizes), TOK.vocab_size), TOK, facts)


@pytest.mark.parametrize("tied", [False, True])
def test_a_loaded_model_has_the_saved_weights_bit_for_bit(tmp_path, tied):
    save(tmp_path / "m", tied=tied)
    first, second = load(tmp_path / "m"), load(tmp_path / "m")
    ids = torch.arange(10)[None]
    assert torch.equal(first.network(ids), second.network(ids))
    again = load(save_model(tmp_path / "again", first.network, first.tokenizer, {}))
    assert again.digest == first.digest


def test_generation_needs_the_folder_alone_and_no_working_directory(tmp_path):
    """covers: MT-31"""
    folder = save(tmp_path / "deep" / "model")
    empty = tmp_path / "empty"
    empty.mkdir()
    words = [sys.executable, "-m", "etude.cli", "generate", str(folder), "--tokens", "20", "--out", "takes"]
    environment = {**os.environ, "ETUDE_RUNS": str(empty / "none")}
    done = subprocess.run(words, cwd=empty, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (empty / "takes").iterdir()) == ["take-0000.json", "take-0000.mid"]


def test_a_model_folder_holds_no_pickle(tmp_path):
    """covers: MT-31, star-87, K49 (partly)"""
    folder = save(tmp_path / "m")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_the_card_names_data_licences_and_numbers(tmp_path):
    card = (save(tmp_path / "m") / "README.md").read_text()
    for words in ("Corpus digest d1", "- CC0: 2 pieces", "| nats_per_token | 1.5000 |", "etude generate"):
        assert words in card


# protocol 0: os.system("touch executed")
PICKLE = b"cos\nsystem\n(S'touch executed'\ntR."


def test_a_pickle_in_a_model_folder_is_never_executed(tmp_path, monkeypatch):
    """covers: star-88"""
    monkeypatch.chdir(tmp_path)
    folder = save(tmp_path / "m")
    (folder / "pytorch_model.bin").write_bytes(PICKLE)
    load(folder)
    (folder / "model.safetensors").write_bytes(PICKLE)
    with pytest.raises(ModelError, match="does not hold this model's weights"):
        load(folder)
    assert not (tmp_path / "executed").exists()


def break_schema(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"version": 99}))


def break_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-20])


def break_tokenizer(folder):
    values = build_tokenizer("performance", pedal="ignore").to_json()
    (folder / "tokenizer.json").write_text(json.dumps(values))


def remove_config(folder):
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_schema, "version 99"),
        (break_weights, "does not hold this model's weights"),
        (break_tokenizer, "copy the whole folder"),
        (remove_config, "damaged model folder"),
    ],
)
def test_a_damaged_model_is_refused_with_one_line(tmp_path, damage, message):
    """covers: star-19"""
    damage(save(tmp_path / "m"))
    with pytest.raises(ModelError, match=message) as caught:
        load(tmp_path / "m")
    assert "\n" not in str(caught.value)


def test_a_name_that_is_neither_model_nor_run_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("ETUDE_RUNS", str(tmp_path))
    with pytest.raises(ModelError, match="no such model folder or run"):
        load("nothing-here")
