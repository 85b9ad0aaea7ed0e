"""Ranks: what each one does, what they agree on, how they are started; mostly without starting any."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_runs import make_corpus, small_config

from etude.cli.__main__ import main
from etude.data.batches import EvalWindows, TrainBatches
from etude.data.corpus import Corpus
from etude.data.tokenize import tokenize
from etude.errors import RunError, SettingsError
from etude.launch.ranks import INTERRUPTED, run_ranks
from etude.tokens import tokenizer_of
from etude.training.checkpoint import Checkpoints
from etude.training.checkpoint_layout import read_layout, read_whole
from etude.training.distributed import Ranks
from etude.training.follower import follow_run
from etude.training.rank_errors import record_error
from etude.training.spread import average_gradients, check_same_weights
from etude.training.step import build_parts
from etude.training.telling import telling
from etude.training.train import train


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def shards(corpus):
    config = small_config(corpus)
    return tokenize(Corpus.open(corpus), tokenizer_of(config.data.tokenizer))


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    return train(small_config(corpus, sample_takes=0, num_steps=6), runs_dir=tmp_path_factory.mktemp("runs"))


class Talking(Ranks):
    """Rank 0 of several, whose messages are made up."""

    def gather_tensor(self, own):
        return torch.stack([own, self.store(own)])


def says(*script: str) -> list[str]:
    return [sys.executable, "-c", "\n".join(["import os, sys, time", *script])]


# ── shares ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_the_rows_of_all_ranks_are_the_batch_each_row_once(size):
    rows = [row for rank in range(size) for row in Ranks(rank, size).share(12)]
    assert rows == list(range(12))


def test_a_batch_that_cannot_be_shared_evenly_is_refused_with_the_numbers_that_can():
    with pytest.raises(SettingsError, match=r"8 rows .* 3 devices .* 1, 2, 4, 8"):
        Ranks(0, 3).share(8)


def test_the_command_refuses_a_batch_that_its_devices_cannot_share_before_it_starts_any(corpus, capsys):
    words = ["llama-tiny", "model=toy", f"data.corpus={corpus}", "train.batch_tokens=768", "--devices", "5"]
    assert main(["train", *words]) == 1
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert "12 rows of model.ctx_len tokens, which 5 devices cannot share evenly" in told


def test_devices_and_torchrun_are_not_asked_for_at_once(corpus, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    assert main(["train", "llama-tiny", f"data.corpus={corpus}", "--devices", "2"]) == 1
    assert "--devices starts the ranks itself; leave it out under torchrun" in capsys.readouterr().err


def test_what_ranks_draw_for_training_is_the_batch_of_one_process(shards):
    """covers: K34 (partly), B17 (partly)"""
    batches = TrainBatches(shards, ctx_len=32, batch_size=6, seed=1, transpose_semitones=3)
    for step in (0, 7):
        parts = [batches.at(step, Ranks(rank, 3).share(6)) for rank in range(3)]
        np.testing.assert_array_equal(np.concatenate(parts), batches.at(step))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_over_all_ranks_every_target_is_evaluated_once_and_all_ranks_go_as_many_times(shards, size):
    """covers: K34"""
    windows = EvalWindows(shards, "valid", ctx_len=16, batch_size=2)
    shares = [list(windows.share(rank, size)) for rank in range(size)]
    assert len({len(share) for share in shares}) == 1
    assert sum(int(batch.weight_BT.sum()) for share in shares for batch in share) == windows.num_targets
    seen = [bytes(b.ids_BT) + bytes(b.targets_BT) for share in shares for b in share if b.weight_BT.any()]
    assert sorted(seen) == sorted(bytes(b.ids_BT) + bytes(b.targets_BT) for b in windows)


def test_a_rank_with_nothing_left_to_evaluate_goes_along_with_weight_zero(shards):
    windows = EvalWindows(shards, "valid", ctx_len=64, batch_size=64)
    assert len(windows) == 1
    first, second = (next(windows.share(rank, 2)) for rank in range(2))
    assert first.weight_BT.any()
    assert not second.weight_BT.any()
    np.testing.assert_array_equal(first.ids_BT, second.ids_BT)


# ── agreeing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_alone_everything_is_what_it_was():
    ranks = Ranks()
    assert ranks.total(0.1, 3) == [0.1, 3]
    assert ranks.largest(0.1, True) == [0.1, True]
    assert ranks.device("cuda:3") == torch.device("cuda", 3)
    with ranks.first_alone("nothing"), telling(ranks):
        pass


def test_every_rank_has_the_gpu_of_its_number_and_one_gpu_for_all_is_refused():
    assert Ranks(5, 8, local_rank=1, store=object()).device("cuda") == torch.device("cuda", 1)
    assert Ranks(5, 8, local_rank=1, store=object()).device("cpu") == torch.device("cpu")
    with pytest.raises(SettingsError, match="one device for 8 ranks; say 'cuda'"):
        Ranks(5, 8, local_rank=1, store=object()).device("cuda:0")


def test_a_weight_without_a_gradient_on_one_rank_is_an_error_that_names_it():
    """covers: K35 (partly)"""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model(torch.ones(1, 2)).sum().backward()
    others = Talking(size=2, store=lambda own: own.clone().index_fill_(0, torch.tensor([2]), 0))
    with pytest.raises(RunError, match=r"1\.weight: has a gradient on some ranks and none on others: ranks 0 and 1"):
        average_gradients(model, others)


def test_replicas_that_differ_in_one_bit_are_an_error_that_names_the_weight():
    """covers: K35 (partly)"""
    model = torch.nn.Linear(3, 3)
    other = torch.nn.Linear(3, 3)
    other.load_state_dict(model.state_dict())
    seen = []
    keep = Talking(size=2, store=lambda own: seen.append(own) or own)
    check_same_weights(other, keep)
    with torch.no_grad():
        other.bias.view(torch.int32)[1] ^= 1
    with pytest.raises(RunError, match="bias: is no longer the same on all ranks"):
        check_same_weights(other, Talking(size=2, store=lambda own: seen[0]))


def test_a_rank_with_other_settings_or_another_folder_is_refused(alone, corpus):
    config = small_config(corpus, sample_takes=0, num_steps=6)
    with pytest.raises(RunError, match="rank 1 finds no open run there; all ranks need the same settings"):
        follow_run(alone.path.parent, config, "another corpus", "tokenizer", rank=1)


# ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_of_one_process_resumed_with_another_batch_is_refused_with_the_reason(alone, corpus, tmp_path):
    """covers: AP-15"""
    copy_checkpoints(alone.path, tmp_path / "run")
    parts = parts_of(corpus)
    folder = tmp_path / "run" / "checkpoints"
    same = Checkpoints(folder, parts, made_with={"train.batch_tokens": 128}, keep=2)
    assert same.load_newest(warn=pytest.fail).step == 6
    other = Checkpoints(folder, parts, made_with={"train.batch_tokens": 256}, keep=2)
    with pytest.raises(RunError, match=r"made with train\.batch_tokens = 128, and the run now has 256"):
        other.load_newest(warn=pytest.fail)


def test_a_run_whose_stored_batch_size_was_changed_by_hand_is_refused_with_the_reason(alone, corpus, tmp_path):
    """covers: AP-15"""
    stored = json.loads((alone.path / "config.json").read_text())
    stored["train"]["batch_tokens"] = 256
    (tmp_path / alone.run).mkdir()
    (tmp_path / alone.run / "config.json").write_text(json.dumps(stored))
    with pytest.raises(RunError, match=r"train\.batch_tokens is 256 in the run and 128 now"):
        train(small_config(corpus, sample_takes=0, num_steps=6), runs_dir=tmp_path)


def test_a_checkpoint_of_the_version_before_is_migrated_and_of_a_later_one_left_alone(alone, corpus, tmp_path):
    """covers: B21"""
    copy_checkpoints(alone.path, tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    parts = parts_of(corpus)
    checkpoints = Checkpoints(folder, parts, made_with={"train.batch_tokens": 128}, keep=2)
    path = folder / "step-00000006" / "state.json"
    values = json.loads(path.read_text())
    old = {name: value for name, value in values.items() if name not in ("made_with", "health")} | {"version": 1}
    path.write_text(json.dumps(old))
    assert checkpoints.load_newest(warn=pytest.fail).tokens == values["tokens"]
    path.write_text(json.dumps(values | {"version": 99}))
    warned = []
    assert checkpoints.load_newest(warn=warned.append).step == 3
    assert "step-00000006: damaged" in warned[0]


def test_nothing_in_a_run_is_a_pickle(alone):
    """covers: B21"""
    for path in alone.path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert path.suffix in {".json", ".jsonl", ".safetensors", ".md", ".log", ""}, path
            assert not data.startswith((b"\x80", b"PK")), path


def test_the_best_model_is_stored_with_the_types_and_values_of_the_live_weights(corpus, tmp_path, monkeypatch):
    """covers: B23"""
    from etude.training import evaluate

    live = {}
    whole = evaluate._save_best

    def watched(folder, parts, card):
        live[folder.name] = {name: tensor.clone() for name, tensor in parts.model.state_dict().items()}
        whole(folder, parts, card)

    monkeypatch.setattr(evaluate, "_save_best", watched)
    config = small_config(corpus, sample_takes=0, num_steps=2, precision="bfloat16")
    run = train(config, runs_dir=tmp_path)
    for name, weights in live.items():
        stored = load_file(run.path / "best" / name / "model.safetensors")
        assert stored.keys() == weights.keys()
        for key, tensor in stored.items():
            assert tensor.dtype == torch.float32
            torch.testing.assert_close(tensor, weights[key], rtol=0, atol=0)


def test_parts_that_several_ranks_wrote_are_put_together_from_safetensors_and_json_alone(tmp_path):
    whole = torch.arange(10.0).view(5, 2)
    save_file({"w": whole[:3].contiguous(), "w.step": torch.tensor(4.0)}, tmp_path / "shard-0-of-2.safetensors")
    save_file({"w": whole[3:].contiguous()}, tmp_path / "shard-1-of-2.safetensors")
    chunks = [
        {"file": "shard-0-of-2.safetensors", "offsets": [0, 0], "sizes": [3, 2]},
        {"file": "shard-1-of-2.safetensors", "offsets": [3, 0], "sizes": [2, 2]},
    ]
    number = {"file": "shard-0-of-2.safetensors", "offsets": [], "sizes": []}
    layout = {
        "w": {"dtype": "float32", "size": [5, 2], "chunks": chunks},
        "w.step": {"dtype": "float32", "size": [], "chunks": [number]},
    }
    (tmp_path / "shards.json").write_text(json.dumps(layout))
    found = read_whole(tmp_path)
    torch.testing.assert_close(found["w"], whole)
    assert found["w.step"] == 4.0


def test_a_checkpoint_of_one_process_reads_as_parts_of_one_piece_each(alone):
    path = alone.path / "checkpoints" / "step-00000006"
    layout = read_layout(path)
    weights = load_file(path / "model.safetensors")
    assert set(weights) <= set(layout)
    for name, tensor in read_whole(path).items():
        assert list(tensor.shape) == layout[name]["size"]
        assert len(layout[name]["chunks"]) == 1
        if name in weights:
            assert torch.equal(tensor, weights[name])


# ── starting ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_rank_finds_its_number_and_where_the_others_are(tmp_path):
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS")
    script = f"open(sys.argv[1] + '/' + os.environ['RANK'], 'w').write(' '.join(os.environ[n] for n in {names!r}))"
    assert run_ranks([*says(script), str(tmp_path)], 3, say=pytest.fail) == 0
    seen = [(tmp_path / str(rank)).read_text().split() for rank in range(3)]
    assert [one[:4] for one in seen] == [[str(rank), str(rank), "3", "127.0.0.1"] for rank in range(3)]
    assert len({one[4] for one in seen}) == 1


def test_a_rank_that_is_killed_ends_the_others_and_is_named():
    """covers: K28 (partly)"""
    script = "os.kill(os.getpid(), 9) if os.environ['RANK'] == '1' else time.sleep(60)"
    started = time.monotonic()
    with pytest.raises(RunError, match="rank 1 was ended by SIGKILL"):
        run_ranks(says(script), 3, say=pytest.fail)
    assert time.monotonic() - started < 10  # what the row asks for; sleepers are ended at once


def test_a_failure_that_came_first_is_shown_with_its_traceback_and_its_consequences_are_not(tmp_path):
    said = []
    script = """
sys.path[:0] = [sys.argv[1]]
from etude.training.rank_errors import record_error
rank = os.environ["RANK"]
try:
    time.sleep(0.0 if rank == "1" else 0.5)
    {"0": lambda: exit(1), "1": lambda: 1 / 0, "2": lambda: [].pop()}[rank]()
except Exception as error:
    record_error(error)
    sys.exit(1)
"""
    with pytest.raises(RunError, match="^rank 1: ZeroDivisionError: division by zero$"):
        run_ranks([*says(script), os.getcwd()], 3, say=said.append)  # noqa: PTH109
    assert said[0] == "rank 1:"
    assert any("1 / 0" in line or "ZeroDivisionError" in line for line in said)
    assert not any("IndexError" in line for line in said)


def test_a_rank_that_says_nothing_of_its_end_is_shown_by_what_it_printed():
    said = []
    script = "os.environ['RANK'] == '1' and (print('the last words', flush=True), sys.exit(7))"
    with pytest.raises(RunError, match="rank 1 ended with exit code 7"):
        run_ranks(says(script), 2, say=said.append)
    assert said == ["the last words"]


def test_an_interrupt_reaches_every_rank_once_and_what_they_saved_counts(tmp_path):
    script = f"""
import signal
def save(*_):
    open(sys.argv[1] + "/saved-" + os.environ["RANK"], "a").write("x")
    sys.exit({INTERRUPTED})
signal.signal(signal.SIGTERM, save)
open(sys.argv[1] + "/ready-" + os.environ["RANK"], "w")
time.sleep(60)
"""
    parent = f"""
import threading
sys.path[:0] = [{os.getcwd()!r}]
from etude.launch.ranks import run_ranks
def stop():
    while len([name for name in os.listdir(sys.argv[1]) if name.startswith("ready")]) < 2:
        time.sleep(0.02)
    os.kill(os.getpid(), 15)
threading.Thread(target=stop).start()
sys.exit(run_ranks({says(script)!r} + [sys.argv[1]], 2, say=print))
"""  # noqa: PTH109
    done = subprocess.run([*says(parent), str(tmp_path)], check=False, timeout=60)
    assert done.returncode == INTERRUPTED
    assert [(tmp_path / f"saved-{rank}").read_text() for rank in range(2)] == ["x", "x"]


def test_the_first_error_of_a_rank_stays_in_its_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    record_error(RunError("no space"))
    record_error(ValueError("lost the others"))
    found = json.loads((tmp_path / "error.json").read_text())
    assert (found["message"]["message"], found["by_user"]) == ("no space", True)


def parts_of(corpus: Path):
    config = small_config(corpus)
    return build_parts(config, Corpus.open(corpus), tokenizer_of(config.data.tokenizer), print)


def copy_checkpoints(run: Path, to: Path) -> None:
    shutil.copytree(run / "checkpoints", to / "checkpoints")
