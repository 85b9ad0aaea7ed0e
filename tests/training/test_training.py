"""The loop: resume, cadence, selection, and what it refuses."""

import csv
import io
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_runs import make_corpus, small_config

from etude.cli.__main__ import main
from etude.errors import RunError
from etude.runs.records import read_records
from etude.training.train import train

_TIMES = ("tokens_per_sec", "data_wait")

_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from small_runs import small_config
from etude.training.train import train

def on_step(numbers):
    if numbers["step"] == int(sys.argv[4]):
        os.kill(os.getpid(), int(sys.argv[5]))

train(small_config(sys.argv[2]), runs_dir=Path(sys.argv[3]), on_step=on_step)
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def uninterrupted(corpus, tmp_path_factory):
    return train(small_config(corpus), runs_dir=tmp_path_factory.mktemp("runs"))


def run_until(corpus: Path, runs: Path, step: int, number: signal.Signals) -> int:
    here = str(Path(__file__).parent)
    words = [sys.executable, "-c", _KILLED, here, str(corpus), str(runs), str(step), str(int(number))]
    return subprocess.run(words, check=False, capture_output=True).returncode


def records(run: Path) -> list[dict]:
    return [{k: v for k, v in record.items() if k not in _TIMES} for record in read_records(run / "metrics.jsonl")]


def assert_same_run(one: Path, other: Path) -> None:
    for name in ("checkpoints/step-00000012/model", "checkpoints/step-00000012/optimizer", "best/loss/model"):
        assert (one / f"{name}.safetensors").read_bytes() == (other / f"{name}.safetensors").read_bytes(), name
    assert records(one) == records(other)


@pytest.mark.parametrize("step", [2, pytest.param(None, id="random")])
def test_a_run_killed_at_any_step_ends_bit_equal_to_an_uninterrupted_one(step, corpus, uninterrupted, tmp_path):
    """covers: star-32, MT-12, K3, B16, AP-15 (partly)"""
    step = step or int.from_bytes(os.urandom(2)) % 11 + 1
    print(f"killed at step {step}")
    assert run_until(corpus, tmp_path, step, signal.SIGKILL) == -signal.SIGKILL
    resumed = train(small_config(corpus), runs_dir=tmp_path)
    assert resumed.step == 12
    assert_same_run(resumed.path, uninterrupted.path)


def test_sigterm_saves_at_once_and_the_same_command_goes_on(corpus, uninterrupted, tmp_path):
    assert run_until(corpus, tmp_path, 5, signal.SIGTERM) == 0
    run = tmp_path / uninterrupted.run
    assert json.loads((run / "status.json").read_text())["state"] == "stopped"
    assert (run / "checkpoints" / "step-00000005").is_dir()
    assert_same_run(train(small_config(corpus), runs_dir=tmp_path).path, uninterrupted.path)


def test_a_damaged_newest_checkpoint_is_passed_over_for_the_one_before(corpus, uninterrupted, tmp_path):
    """covers: B20"""
    assert run_until(corpus, tmp_path, 8, signal.SIGKILL) == -signal.SIGKILL
    run = tmp_path / uninterrupted.run
    newest = run / "checkpoints" / "step-00000006" / "model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-7])
    assert_same_run(train(small_config(corpus), runs_dir=tmp_path).path, uninterrupted.path)
    assert "damaged" in (run / "logs" / "rank_0.log").read_text()


def test_micro_batches_add_up_to_the_whole_batch(corpus, tmp_path):
    """covers: B27 (partly)"""
    losses = []
    for tokens in (32, 128):
        config = small_config(corpus, micro_batch_tokens=tokens, precision="float32", num_steps=3)
        config = config.replace(model=config.model.replace(dropout=0.0))
        run = train(config, runs_dir=tmp_path / str(tokens))
        losses.append(run.valid["nats_per_token"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_first_record_is_the_untrained_model_and_close_to_a_uniform_guess(uninterrupted):
    """covers: MT-10"""
    first = records(uninterrupted.path)[0]
    assert (first["kind"], first["step"]) == ("valid", 0)
    assert first["nats_per_token"] == pytest.approx(math.log(390), rel=0.05)


def test_evaluation_and_logging_keep_their_cadence_and_the_last_step_is_always_evaluated(corpus, tmp_path):
    """covers: K10"""
    run = train(small_config(corpus, num_steps=10), runs_dir=tmp_path)
    steps = {kind: [r["step"] for r in records(run.path) if r["kind"] == kind] for kind in ("valid", "train")}
    assert steps == {"valid": [0, 4, 8, 10], "train": [2, 4, 6, 8, 10]}


def test_the_best_models_are_those_of_the_lowest_loss_and_the_highest_accuracy(uninterrupted):
    """covers: MT-11, K14"""
    valid = [record for record in records(uninterrupted.path) if record["kind"] == "valid"]
    for name, best in (
        ("loss", min(valid, key=lambda record: record["nats_per_token"])),
        ("accuracy", max(valid, key=lambda record: record["accuracy"])),
    ):
        card = json.loads((uninterrupted.path / "best" / name / "config.json").read_text())
        assert card["step"] == best["step"]


def test_the_table_of_a_run_has_both_losses_and_its_best_rows_are_the_best_models(uninterrupted, capsys):
    """covers: MT-11"""
    assert main(["runs", "log", str(uninterrupted.path), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["step"] for row in rows] == ["0", "4", "8", "12"]
    assert {"step", "lr", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy"} <= set(rows[0])
    assert all(float(row["train_loss"]) > 0 for row in rows[1:])
    best = min(rows, key=lambda row: float(row["valid_loss"]))
    card = json.loads((uninterrupted.path / "best" / "loss" / "config.json").read_text())
    assert card["step"] == int(best["step"])


def test_as_many_checkpoints_stay_as_were_asked_for(corpus, tmp_path):
    """covers: K19, B19 (partly)"""
    run = train(small_config(corpus, keep_checkpoints=2), runs_dir=tmp_path)
    assert sorted(path.name for path in (run.path / "checkpoints").iterdir()) == ["step-00000009", "step-00000012"]


def test_a_larger_budget_goes_on_with_the_same_run(corpus, uninterrupted, tmp_path):
    """covers: B5"""
    short = train(small_config(corpus, num_steps=6), runs_dir=tmp_path)
    longer = train(small_config(corpus), runs_dir=tmp_path)
    assert (short.run, longer.run) == (uninterrupted.run, uninterrupted.run)
    assert (longer.path / "checkpoints/step-00000012/model.safetensors").read_bytes() == (
        uninterrupted.path / "checkpoints/step-00000012/model.safetensors"
    ).read_bytes()


def test_clear_starts_from_the_beginning(corpus, tmp_path):
    """covers: K4"""
    first = train(small_config(corpus, num_steps=4), runs_dir=tmp_path)
    again = train(small_config(corpus, num_steps=2), runs_dir=tmp_path, clear=True)
    assert first.run == again.run
    assert [record["step"] for record in records(again.path) if record["kind"] == "valid"] == [0, 2]


def test_a_loss_that_is_not_a_number_stops_the_run_and_leaves_the_checkpoint(corpus, tmp_path):
    """covers: B26 (partly)"""
    config = small_config(corpus, num_steps=6)
    run = train(config, runs_dir=tmp_path)
    checkpoint = run.path / "checkpoints" / "step-00000006"
    weights = load_file(checkpoint / "model.safetensors")
    weights["norm.weight"] = torch.full_like(weights["norm.weight"], math.nan)
    poison(checkpoint, weights)
    with pytest.raises(RunError, match="not a number"):
        train(small_config(corpus), runs_dir=tmp_path)
    assert json.loads((run.path / "status.json").read_text())["state"] == "failed"
    assert (run.path / "best" / "loss" / "model.safetensors").is_file()


def poison(checkpoint: Path, weights: dict) -> None:
    from safetensors.torch import save_file

    from etude.files import sha256_of_file, write_json

    save_file(weights, checkpoint / "model.safetensors")
    state = json.loads((checkpoint / "state.json").read_text())
    state["sha256"]["model.safetensors"] = sha256_of_file(checkpoint / "model.safetensors")
    write_json(checkpoint / "state.json", state)
