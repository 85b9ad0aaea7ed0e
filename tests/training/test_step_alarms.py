"""Alarms ring for what is not sane, say what they saw, and keep still otherwise."""

import math
from types import SimpleNamespace

import pytest
import torch
from small_runs import make_corpus, small_config

from etude.models import build_model
from etude.runs.records import read_records
from etude.training.alarms import Alarms, look, repeats
from etude.training.distributed import ALONE
from etude.training.state import TrainState
from etude.training.train import train

VOCAB = 390


class FakeRun:
    """Remembers what it is told."""

    def __init__(self):
        self.lines, self.records = [], []

    def say(self, line):
        self.lines.append(line)

    def log(self, kind, step, values):
        self.records.append((kind, step, values))


@pytest.fixture
def watched(tmp_path):
    """Return alarms, the run that they tell, and a way to pass steps of given losses and norms."""
    config = small_config(tmp_path)
    tokenizer = SimpleNamespace(vocab_size=VOCAB)
    model = build_model(config.model, VOCAB)
    parts = SimpleNamespace(model=model, task=SimpleNamespace(), tokenizer=tokenizer, ranks=ALONE, precision="float32")
    run, said = FakeRun(), []
    alarms = Alarms(run, parts, config, said.append)
    state = TrainState()

    def pass_steps(count, *, loss=2.0, norm=1.0):
        for _ in range(count):
            state.step += 1
            alarms.after_step(state, {"skipped": "", "loss": loss, "grad_norm": norm})

    return SimpleNamespace(**locals())


def names_of(run):
    return [values["alarm"] for _, _, values in run.records]


def test_gradients_that_explode_are_told_once_and_again_only_after_they_calmed_down(watched):
    watched.pass_steps(80)
    watched.pass_steps(3, norm=30.0)
    assert names_of(watched.run) == []
    watched.pass_steps(20, norm=100.0)
    assert names_of(watched.run) == ["norm"]
    kind, step, values = watched.run.records[0]
    assert (kind, 80 < step < 103) == ("alarm", True)
    assert values["grad_norm"] > 10 * values["usual"]
    assert watched.said == watched.run.lines
    assert watched.said[0].startswith(f"step {step}: alarm: norm: the gradient's norm is ")
    watched.pass_steps(600)
    watched.pass_steps(20, norm=100.0)
    assert names_of(watched.run) == ["norm", "norm"]


def test_gradients_that_are_gone_are_told(watched):
    watched.pass_steps(60)
    watched.pass_steps(300, norm=0.0)
    assert names_of(watched.run) == ["norm"]


def test_a_loss_that_never_leaves_the_guess_is_told_long_after_the_warm_up(watched):
    warmup = watched.config.optim.warmup_steps
    watched.pass_steps(warmup + 199, loss=math.log(VOCAB))
    assert names_of(watched.run) == []
    watched.pass_steps(100, loss=math.log(VOCAB))
    assert names_of(watched.run) == ["loss"]
    assert "no better than a guess among 390 ids (5.966)" in watched.said[0]


def test_without_the_switch_nothing_is_told(watched):
    config = watched.config.replace(train=watched.config.train.replace(alarms=False))
    watched.alarms._config = config
    watched.pass_steps(400, loss=math.log(VOCAB))
    watched.alarms.after_evaluation(watched.state)
    assert watched.said == []


def music(rows: int = 3, length: int = 24) -> torch.Tensor:
    return torch.randint(0, VOCAB, (rows, length), generator=torch.Generator().manual_seed(5))


def evaluated(watched, model, ids_RT) -> list[str]:
    parts = watched.parts
    watched.alarms._parts = SimpleNamespace(
        **(vars(parts) | {"model": model, "task": SimpleNamespace(probe=lambda: ids_RT)})
    )
    before = len(watched.run.records)
    watched.alarms.after_evaluation(watched.state)
    return names_of(watched.run)[before:]


def test_a_model_that_is_certain_of_what_it_gets_wrong_is_told(watched):
    model = watched.model
    assert evaluated(watched, model, music()) == []
    with torch.no_grad():
        model.head.weight.mul_(300.0)
    assert evaluated(watched, model, music()) == ["certainty"]
    assert evaluated(watched, model, music()) == []
    assert "of what it gets wrong" in watched.said[-1]


class Parrot(torch.nn.Module):
    """Says the id that came two places before, whatever the music is; knows nothing of it."""

    def __init__(self):
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def forward(self, ids_BT):
        return torch.zeros(*ids_BT.shape, VOCAB)

    def new_cache(self, batch_size, length):
        return []

    def prefill(self, ids_BT, cache):
        cache.extend(ids_BT.T)
        return self._again(cache)

    def step(self, ids_B, cache):
        cache.append(ids_B)
        return self._again(cache)

    def _again(self, cache):
        return 1e3 * torch.nn.functional.one_hot(cache[-2], VOCAB)


def test_a_model_that_repeats_itself_is_told_and_one_that_plays_repetitive_music_is_not(watched):
    assert evaluated(watched, Parrot(), music(length=60)) == ["repetition"]
    assert "90% of the groups of 4 ids that the model plays came before" in watched.said[-1]
    loops = torch.arange(60).remainder(3).repeat(3, 1)
    assert evaluated(watched, Parrot(), loops) == []
    assert watched.state.health["rings.repetition"] == 0


def test_groups_that_came_before_are_counted_from_the_start_on():
    assert repeats(torch.arange(20)[None], 10) == 0.0
    assert repeats(torch.zeros(2, 20, dtype=torch.long), 10) == 1.0
    assert repeats(torch.tensor([[1, 2, 3, 4, 5, 1, 2, 3, 4]]), 8) == 1.0


def test_looking_changes_neither_the_model_s_mode_nor_torch_s_generator(watched):
    watched.model.train()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, again = look(watched.model, music(), seed=1), look(watched.model, music(), seed=1)
    assert first == again
    assert set(first) == {"entropy", "nats", "repeats", "repeats_in_music"}
    assert first["entropy"] == pytest.approx(math.log(VOCAB), rel=0.05)
    assert watched.model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_alarms_of_a_real_run_are_records_and_lines_of_its_log(tmp_path):
    config = small_config(make_corpus(tmp_path), num_steps=4, sample_takes=0)
    sane = train(config, runs_dir=tmp_path)
    assert list(read_records(sane.path / "metrics.jsonl", kind="alarm")) == []
    optim = config.optim.replace(peak_lr=10.0, warmup_steps=0, clip_norm=None, weight_decay=0.0)
    wild = config.replace(optim=optim)
    run = train(wild, runs_dir=tmp_path)
    [alarm] = read_records(run.path / "metrics.jsonl", kind="alarm")
    assert (alarm["step"], alarm["alarm"]) == (4, "certainty")
    assert "step 4: alarm: certainty" in (run.path / "logs" / "rank_0.log").read_text()
