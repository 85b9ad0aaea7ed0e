"""Number formats: what a device gets by default, and float16, which runs with a scaled loss alone."""

import json
import math

import pytest
import torch
from small_runs import make_corpus, small_config

from etude.data.corpus import Corpus
from etude.errors import SettingsError
from etude.models.decoder import Decoder
from etude.models.settings import DecoderSettings
from etude.runs.records import read_records
from etude.tokens import tokenizer_of
from etude.training import compiling, precision
from etude.training.checkpoint import _set_moments
from etude.training.precision import loss_scale, resolve_precision, settle_loss_scale
from etude.training.state import TrainState
from etude.training.step import build_parts, take_step
from etude.training.train import train


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("data"))


def steps_of(config, num_steps: int, scale: float | None = None):
    corpus = Corpus.open(config.data.corpus)
    parts = build_parts(config, corpus, tokenizer_of(config.data.tokenizer), say=lambda line: None)
    state = TrainState(health={} if scale is None else {"loss_scale": scale})
    return [take_step(parts, config, state) for _ in range(num_steps)], state, parts


@pytest.mark.parametrize(
    ("device", "has_it", "expected"),
    [
        ("cuda", True, "bfloat16"),
        ("cuda", False, "float32"),
        ("cpu", True, "bfloat16"),
        ("cpu", False, "float32"),
        ("mps", None, "float32"),
    ],
)
def test_bfloat16_is_the_default_where_the_device_has_it(monkeypatch, device, has_it, expected):
    """covers: B29"""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_it)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_it, raising=False)
    assert resolve_precision("auto", torch.device(device)) == expected
    for asked in ("float32", "bfloat16", "float16"):
        assert resolve_precision(asked, torch.device(device)) == asked


def test_float16_trains_like_float32_with_its_loss_scaled(corpus, tmp_path):
    """covers: K18"""
    losses = {}
    for name in ("float32", "float16"):
        numbers, _, parts = steps_of(small_config(corpus, precision=name), 6)
        losses[name] = [one["loss"] for one in numbers] + [one["grad_norm"] for one in numbers]
        assert {weight.dtype for weight in parts.model.parameters()} == {torch.float32}
        assert not any(one["skipped"] for one in numbers)
    assert losses["float16"] == pytest.approx(losses["float32"], rel=0.02)
    run = train(small_config(corpus, precision="float16", num_steps=3, sample_takes=0), runs_dir=tmp_path)
    state = json.loads((run.path / "checkpoints" / "step-00000003" / "state.json").read_text())
    assert state["health"]["loss_scale"] == precision.FIRST_SCALE
    assert state["health"]["steps_at_scale"] == 3
    assert all(record["grad_norm"] > 0 for record in read_records(run.path / "metrics.jsonl", kind="train"))


def test_a_scale_that_is_too_large_is_halved_until_gradients_fit_and_no_such_step_counts_as_bad(corpus):
    """covers: K18 (partly)"""
    numbers, state, parts = steps_of(small_config(corpus, precision="float16"), 8, scale=2.0**24)
    told = [one["skipped"] for one in numbers]
    skipped = told.count("overflow")
    assert told == ["overflow"] * skipped + [""] * (8 - skipped)
    assert 0 < skipped < 8
    assert state.health["loss_scale"] == 2.0 ** (24 - skipped)
    assert "bad" not in state.health
    assert all(torch.isfinite(weight).all() for weight in parts.model.parameters())


def test_other_formats_are_never_scaled():
    for name in ("float32", "bfloat16"):
        state = TrainState()
        assert loss_scale(name, state) == 1.0
        assert settle_loss_scale(name, state, is_finite=False) is False
        assert state.health == {}


def test_the_scale_doubles_after_many_good_steps_and_a_gradient_that_never_fits_is_no_overflow():
    state = TrainState(health={"loss_scale": 8.0})
    for _ in range(precision.STEPS_TO_DOUBLE):
        assert not settle_loss_scale("float16", state, is_finite=True)
    assert state.health == {"loss_scale": 16.0, "steps_at_scale": 0}
    explained = [settle_loss_scale("float16", state, is_finite=False) for _ in range(10)]
    assert explained == [True] * 8 + [False] * 2
    assert state.health["loss_scale"] == precision.LAST_SCALE


@pytest.mark.parametrize("rows", [2, 256])
def test_in_float16_the_gradient_of_a_mean_over_many_targets_does_not_vanish(rows):
    torch.manual_seed(0)
    model = Decoder(DecoderSettings(num_layers=1, model_dim=32, num_heads=2, ff_dim=32, ctx_len=32), 300)
    ids_BT = torch.randint(0, 300, (rows, 33))
    gradients = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.float16, enabled=enabled):
            loss, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
        (loss * (2.0**16 if enabled else 1.0)).backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters()]))
        model.zero_grad()
    error = (gradients[1] / 2.0**16 - gradients[0]).norm() / gradients[0].norm()
    assert math.isfinite(error)
    assert error < 0.01


def test_where_torch_cannot_compile_the_switch_is_refused_in_one_line(corpus, monkeypatch):
    def fails(function):
        raise RuntimeError("no C++ compiler\n(a page of hints)")

    monkeypatch.setattr(compiling.torch, "compile", fails)
    with pytest.raises(SettingsError) as refused:
        steps_of(small_config(corpus, compile=True), 1)
    assert str(refused.value) == (
        "train.compile = true: torch cannot compile on cpu here (no C++ compiler); set train.compile=false"
    )


@pytest.mark.services
@pytest.mark.filterwarnings("ignore")  # of torch about its own parts
def test_compiled_blocks_train_as_they_are_written(corpus):
    """Compiling takes the better part of a minute."""
    config = small_config(corpus, precision="float32")
    config = config.replace(model=config.model.replace(dropout=0.0))
    plain, _, parts = steps_of(config, 4)
    compiled, _, fast = steps_of(config.replace(train=config.train.replace(compile=True)), 4)
    assert [one["loss"] for one in compiled] == pytest.approx([one["loss"] for one in plain], rel=1e-4)
    assert list(fast.model.state_dict()) == list(parts.model.state_dict())


def test_moments_and_the_fused_kernel_s_count_of_steps_come_back_to_the_device_of_their_weight():
    """The meta device stands for a GPU: a count on the CPU would stop the kernel there."""
    weights = torch.nn.Linear(3, 2, device="meta")
    for kind, where in ((torch.optim.AdamW(weights.parameters(), fused=False), "cpu"), (fused_on(weights), "meta")):
        tensors = {"weight.exp_avg": torch.zeros(2, 3), "weight.step": torch.tensor(4.0)}
        _set_moments(weights, kind, tensors)
        state = kind.state[weights.weight]
        assert (state["exp_avg"].device.type, state["step"].device.type) == ("meta", where)


def fused_on(weights: torch.nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.AdamW(weights.parameters())
    optimizer.defaults["fused"] = True
    return optimizer
