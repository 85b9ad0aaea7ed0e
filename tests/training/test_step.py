"""One step: its batch, what it skips, what it keeps as evidence, and what it says of itself."""

import json
import math
import threading
import time

import numpy as np
import pytest
import torch
from small_runs import make_corpus, small_config

from etude.data.corpus import Corpus
from etude.errors import RunError
from etude.runs.identity import run_id
from etude.runs.records import read_records
from etude.tasks.next_token import Loss, NextToken
from etude.tokens import tokenizer_of
from etude.training.prefetch import Prefetch
from etude.training.profile import Observer, stacks_when_stuck
from etude.training.state import TrainState
from etude.training.step import build_parts, take_step
from etude.training.train import train


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("data"))


def quick(corpus, **train):
    return small_config(corpus, **({"sample_takes": 0} | train))


def parts_of(config):
    corpus = Corpus.open(config.data.corpus)
    return build_parts(config, corpus, tokenizer_of(config.data.tokenizer), say=lambda line: None)


def spoil(monkeypatch, *steps: int) -> None:
    """Have the loss of the batches of these steps, the first being 1, be no number."""
    sane = NextToken.loss

    def loss(self, model, ids):
        found = sane(self, model, ids)
        spoilt = any((ids[0] == self.train_batch(step - 1)).all(1).any() for step in steps)
        return Loss(found.nats * math.nan, found.num_correct) if spoilt else found

    monkeypatch.setattr(NextToken, "loss", loss)


def test_a_step_without_a_finite_loss_is_skipped_counted_and_its_batch_kept(corpus, tmp_path, monkeypatch):
    """covers: B26, K18 (partly)"""
    spoil(monkeypatch, 7)
    said = []
    run = train(quick(corpus), runs_dir=tmp_path, say=said.append)
    assert run.step == 12
    assert math.isfinite(run.valid["nats_per_token"])
    records = list(read_records(run.path / "metrics.jsonl"))
    trained = [record for record in records if record["kind"] == "train"]
    assert all(0 <= record["data_wait"] < 1 and record["grad_norm"] > 0 for record in trained)
    assert [record["step"] for record in records if record.get("alarm") == "not finite"] == [7]
    assert {record["step"]: record.get("skipped", 0) for record in trained}[8] == 1
    batch = np.load(run.path / "evidence" / "step-00000007.npy", allow_pickle=False)
    assert np.array_equal(batch, parts_of(quick(corpus)).task.train_batch(6).numpy())
    facts = json.loads((run.path / "evidence" / "step-00000007.json").read_text())
    assert (facts["step"], facts["loss"]) == (7, "nan")
    line = "step 7: alarm: not finite: loss nan"
    assert any(line in one and "evidence/step-00000007.npy" in one for one in said)
    assert line in (run.path / "logs" / "rank_0.log").read_text()


def test_a_skipped_step_changes_no_weight_and_a_run_resumed_after_it_is_bit_equal(corpus, tmp_path, monkeypatch):
    spoil(monkeypatch, 2)
    parts, state = parts_of(quick(corpus)), TrainState()
    weights = []
    for _ in range(3):
        skipped = take_step(parts, quick(corpus), state)["skipped"]
        weights.append((skipped, parts.model.head_weight.detach().clone()))
    assert [skipped for skipped, _ in weights] == ["", "not finite", ""]
    assert torch.equal(weights[0][1], weights[1][1])
    assert not torch.equal(weights[1][1], weights[2][1])
    spoil(monkeypatch, 3, 8)
    whole = train(quick(corpus), runs_dir=tmp_path / "whole")
    train(quick(corpus, num_steps=5), runs_dir=tmp_path / "halves")
    halves = train(quick(corpus), runs_dir=tmp_path / "halves")
    for name in ("model", "optimizer"):
        files = [run.path / "checkpoints" / "step-00000012" / f"{name}.safetensors" for run in (whole, halves)]
        assert files[0].read_bytes() == files[1].read_bytes()
    states = [json.loads((run.path / "checkpoints/step-00000012/state.json").read_text()) for run in (whole, halves)]
    assert states[0]["health"] == states[1]["health"]
    assert states[0]["health"]["bad"] == 3


@pytest.mark.parametrize(("most", "stops_at"), [(0, 3), (1, 4), (2, None)])
def test_too_many_steps_without_a_finite_loss_stop_the_run(corpus, tmp_path, monkeypatch, most, stops_at):
    spoil(monkeypatch, 3, 4)
    config = quick(corpus, num_steps=6, max_bad_steps=most)
    if stops_at is None:
        assert train(config, runs_dir=tmp_path).step == 6
    else:
        with pytest.raises(RunError, match=f"step {stops_at}: loss nan.*not a number.*max_bad_steps = {most}"):
            train(config, runs_dir=tmp_path)


def test_evidence_of_a_run_that_is_beyond_help_does_not_fill_the_disk(corpus, tmp_path, monkeypatch):
    spoil(monkeypatch, *range(1, 13))
    with pytest.raises(RunError, match="in 10 steps in a row"):
        train(quick(corpus, max_bad_steps=9, eval_every_steps=0), runs_dir=tmp_path)
    assert len(list(tmp_path.glob("*/evidence/*.npy"))) == 8


def test_batches_made_ahead_are_the_batches_made_on_demand(corpus):
    """covers: K38 (partly)"""
    weights = []
    for ahead in (0, 1, 3):
        config = quick(corpus, prefetch_batches=ahead)
        parts, state = parts_of(config), TrainState()
        for _ in range(4):
            take_step(parts, config, state)
        weights.append(parts.model.head_weight)
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


def test_the_next_batches_are_made_while_a_step_runs_and_no_more_than_asked_for():
    made, third = [], threading.Event()

    def load(step: int) -> int:
        made.append(step)
        if step == 3:
            third.set()
        return step

    batches = Prefetch(load, ahead=3)
    assert batches.at(0) == 0
    assert third.wait(20), "nobody asked for batch 3, and it should be there"
    assert made == [0, 1, 2, 3]
    assert batches.at(1) == 1
    assert batches.at(7) == 7


def test_what_goes_wrong_while_a_batch_is_made_is_raised_where_it_is_asked_for():
    def load(step: int) -> int:
        if step == 2:
            raise RunError("the disk is gone")
        return step

    batches = Prefetch(load, ahead=2)
    assert [batches.at(0), batches.at(1)] == [0, 1]
    with pytest.raises(RunError, match="the disk is gone"):
        batches.at(2)


def test_separate_pieces_are_learnt_as_if_each_were_a_row_of_its_own(corpus):
    """No token sees one of another piece, and END opens the next piece as it does in evaluation."""
    config = quick(corpus, batch_tokens=512)
    config = config.replace(
        data=config.data.replace(separate_pieces=True), model=config.model.replace(ctx_len=128, dropout=0.0)
    )
    parts = parts_of(config)
    ids_BT, end = parts.task.train_batch(0), parts.tokenizer.end_id
    nats, num_pieces = 0.0, 0
    with torch.no_grad():
        for row in ids_BT:
            starts = [0, *(k for k in range(1, 128) if row[k] == end), 128]
            num_pieces += len(starts) - 1
            for first, last in zip(starts[:-1], starts[1:], strict=True):
                alone = parts.model.loss(row[None, first:last], row[None, first + 1 : last + 1])[0]
                nats += float(alone) * (last - first)
        together = parts.task.loss(parts.model, ids_BT).nats
        plain = parts.model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0]
    assert num_pieces > len(ids_BT)
    assert float(together) == pytest.approx(nats / 512, rel=1e-5)
    assert abs(float(plain) - float(together)) > 1e-4


def test_every_switch_of_the_load_test_leaves_its_file_in_the_run(corpus, tmp_path):
    """covers: K36"""
    config = quick(corpus, num_steps=4, made_data=True, profile=True, show_syncs=True)
    run = train(config, runs_dir=tmp_path)
    trace = json.loads((run.path / "profile" / "trace-step-3.json").read_text())
    assert any(event.get("name") == "aten::mm" for event in trace["traceEvents"])
    assert "aten::mm" in (run.path / "profile" / "trace-step-3.txt").read_text()
    load = json.loads((run.path / "profile" / "made_data.json").read_text())
    assert load["steps"] == 4
    assert load["tokens_per_sec"] > 0
    syncs = (run.path / "profile" / "syncs-step-2.txt").read_text()
    assert "etude/training/step.py" in syncs
    assert "a number is read" in syncs


def test_made_data_is_random_ids_and_another_run(corpus):
    made, real = (parts_of(quick(corpus, made_data=flag)).task.train_batch(0) for flag in (True, False))
    assert made.shape == real.shape
    assert len(made.unique()) > 100
    assert run_id(quick(corpus, made_data=True), "corpus", "tok") != run_id(quick(corpus), "corpus", "tok")


def test_a_step_reads_numbers_of_the_device_in_one_place(corpus, tmp_path):
    """Every other wait would stop a GPU: none in the model, the loss, or between micro-batches."""
    config = quick(corpus, num_steps=2, show_syncs=True, batch_tokens=256, micro_batch_tokens=32)
    parts, state = parts_of(config), TrainState()
    with Observer(tmp_path, config) as observer:
        for _ in range(2):
            with observer.step():
                take_step(parts, config, state)
    lines = (tmp_path / "profile" / "syncs-step-2.txt").read_text().splitlines()
    assert [line for line in lines if "etude/models" in line or "etude/tasks" in line] == []


def sleeps_elsewhere(until: threading.Event) -> None:
    until.wait(20)


def test_a_step_that_is_stuck_writes_the_stack_of_every_thread_into_its_log(corpus, tmp_path):
    """covers: K35 (partly)"""
    awake = threading.Event()
    other = threading.Thread(target=sleeps_elsewhere, args=(awake,))
    other.start()
    log = tmp_path / "logs" / "rank_0.log"
    with Observer(tmp_path, quick(corpus, stuck_after_sec=0.05)) as observer:
        with observer.step():
            while "test_a_step_that_is_stuck" not in log.read_text():
                time.sleep(0.02)
        awake.set()
        other.join()
    told = log.read_text()
    assert "Timeout" in told
    assert "sleeps_elsewhere" in told


def test_a_step_in_time_writes_nothing(tmp_path):
    with (tmp_path / "log").open("ab") as log, stacks_when_stuck(log, 60.0):
        pass
    assert (tmp_path / "log").read_bytes() == b""
