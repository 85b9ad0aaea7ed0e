"""``etude import`` and ``etude export`` as they are typed."""

import json
import shutil
import subprocess
import sys

import published_models as published
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_decoders import small_model

import etude
from etude.cli.__main__ import main


def printed(capsys) -> dict:
    """Return the one JSON document of standard output."""
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def run_path(tmp_path):
    """A folder that looks like a run with its best model."""
    small_model("llama", tmp_path / "runs" / "abcd1234" / "best" / "loss")
    return tmp_path / "runs" / "abcd1234"


def test_import_writes_a_model_folder_and_says_what_it_holds(tmp_path, capsys):
    """covers: star-29 (partly)"""
    torch.save(published.music_transformer(relative=False), tmp_path / "w.pickle")
    words = ["musictransformer", str(tmp_path / "w.pickle"), str(tmp_path / "model"), "--heads", "4"]
    assert main(["import", *words, "--json"]) == 0
    made = printed(capsys)
    assert (made["tokenizer"], made["vocab_size"], made["settings"]["num_heads"]) == ("performance", 390, 4)
    assert made["parameters"] == sum(w.numel() for w in load_file(tmp_path / "model" / "model.safetensors").values())
    assert main(["import", *words]) == 0
    assert "listen: etude generate" in capsys.readouterr().out


def test_import_refuses_in_one_line_and_writes_nothing(tmp_path, capsys):
    state = published.aria(width=64, inner=64) | {"embedding_adapter.weight": torch.ones(1)}
    save_file(state, tmp_path / "w.safetensors")
    words = ["import", "aria", str(tmp_path / "w.safetensors"), str(tmp_path / "model")]
    assert main(words) == 1
    told = capsys.readouterr().err
    assert "embedding_adapter.weight" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "model").exists()
    assert main([*words, "--without", "embedding_adapter.weight"]) == 0


def test_the_best_model_of_a_run_is_exported_for_transformers(run_path, tmp_path, capsys):
    assert main(["export", str(run_path), str(tmp_path / "out"), "--json"]) == 0
    made = printed(capsys)
    assert made["format"] == "transformers"
    assert set(made["files"]) >= {"config.json", "model.safetensors", "etude_tokenizer.json", "README.md"}


def test_the_decode_step_is_exported_as_onnx(run_path, tmp_path, capsys):
    pytest.importorskip("onnx", reason="onnx, of the extra `export`, is what this is about")
    assert main(["export", str(run_path), str(tmp_path / "out"), "--onnx", "--json"]) == 0
    assert "decode_step.onnx" in printed(capsys)["files"]


def test_a_model_that_was_exported_loads_where_the_run_is_no_more(run_path, tmp_path, capsys):
    """covers: K49 (partly)"""
    expected = etude.load(run_path).generate(tokens=20, seed=3)[0].score.notes
    assert main(["export", str(run_path), str(tmp_path / "out"), "--folder"]) == 0
    shutil.rmtree(run_path.parent)
    code = "import etude; print(etude.load('out').generate(tokens=20, seed=3)[0].score.notes.pitch.tolist())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == expected.pitch.tolist()
    assert "abcd1234" in (tmp_path / "out" / "README.md").read_text()


def test_an_imported_model_keeps_its_origin_when_it_is_exported(tmp_path, capsys):
    save_file(published.aria(width=64, inner=64), tmp_path / "w.safetensors")
    assert main(["import", "aria", str(tmp_path / "w.safetensors"), str(tmp_path / "model")]) == 0
    for name, words in (("folder", ["--folder"]), ("transformers", [])):
        assert main(["export", str(tmp_path / "model"), str(tmp_path / name), *words]) == 0
        assert "Apache-2.0" in (tmp_path / name / "README.md").read_text()


def test_a_model_is_not_exported_onto_itself(run_path, capsys):
    best = run_path / "best" / "loss"
    assert main(["export", str(run_path), str(best), "--folder"]) == 1
    assert "holds what is read" in capsys.readouterr().err
    assert main(["export", str(run_path), str(best), "--folder", "--onnx"]) == 1


def test_a_folder_of_other_things_is_never_replaced(run_path, tmp_path, capsys):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("keep me")
    save_file(published.aria(width=64, inner=64), tmp_path / "home" / "w.safetensors")
    assert main(["export", str(run_path), str(tmp_path / "home")]) == 1
    assert "holds no model" in capsys.readouterr().err
    assert main(["import", "aria", str(tmp_path / "home" / "w.safetensors"), str(tmp_path / "home")]) == 1
    assert "holds what is read" in capsys.readouterr().err
    assert (tmp_path / "home" / "letter.txt").read_text() == "keep me"
    # a run is no model folder, though it has one
    (run_path / "config.json").write_text("{}")
    assert main(["import", "aria", str(tmp_path / "home" / "w.safetensors"), str(run_path)]) == 1
