"""Optimisers and learning-rate schedules."""

import math

import pytest
import torch

from etude.models.decoder import Decoder
from etude.models.settings import DecoderSettings
from etude.optim import build_optimizer, learning_rate_at
from etude.optim_settings import OptimSettings, noam_peak_lr


def small() -> Decoder:
    torch.manual_seed(0)
    settings = DecoderSettings(
        num_layers=1, model_dim=16, num_heads=2, ff_dim=16, ctx_len=8, norm="layer", positions="relative"
    )
    return Decoder(settings, 12)


def test_noam_is_the_transformer_s_rate_at_step_211():
    """covers: MT-9"""
    settings = OptimSettings(schedule="noam", peak_lr=noam_peak_lr(768, 4000), warmup_steps=4000)
    assert learning_rate_at(settings, 211) == pytest.approx(3.0096213e-05, rel=1e-7)


@pytest.mark.parametrize("step", [1, 211, 3999, 4000, 4001, 100_000])
def test_noam_is_the_paper_s_formula_at_every_step(step):
    """covers: MT-9"""
    settings = OptimSettings(schedule="noam", peak_lr=noam_peak_lr(512, 4000), warmup_steps=4000)
    formula = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
    assert learning_rate_at(settings, step) == pytest.approx(formula, rel=1e-12)


@pytest.mark.parametrize("schedule", ["noam", "cosine", "constant", "warmup_linear"])
def test_every_schedule_warms_up_in_a_line_from_0_to_its_peak(schedule):
    settings = OptimSettings(schedule=schedule, peak_lr=0.4, warmup_steps=20)
    assert [learning_rate_at(settings, step) for step in (0, 5, 10, 20)] == pytest.approx([0, 0.1, 0.2, 0.4])
    assert max(learning_rate_at(settings, step) for step in range(2000)) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("schedule", "quarter", "half", "end"),
    [
        ("cosine", 0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2, 0.55, 0.1),
        ("warmup_linear", 0.775, 0.55, 0.1),
        ("constant", 1.0, 1.0, 1.0),
        ("noam", math.sqrt(20 / 40), math.sqrt(20 / 60), math.sqrt(20 / 100)),
    ],
)
def test_every_schedule_falls_by_its_formula(schedule, quarter, half, end):
    settings = OptimSettings(schedule=schedule, peak_lr=1.0, warmup_steps=20, schedule_steps=100, final_lr_fraction=0.1)
    assert [learning_rate_at(settings, step) for step in (40, 60, 100)] == pytest.approx([quarter, half, end])


@pytest.mark.parametrize("schedule", ["cosine", "warmup_linear"])
def test_a_run_that_goes_on_past_its_schedule_stays_at_the_last_rate(schedule):
    settings = OptimSettings(schedule=schedule, peak_lr=1.0, schedule_steps=200, final_lr_fraction=0.25)
    assert learning_rate_at(settings, 10_000) == pytest.approx(0.25)


def test_without_warm_up_the_first_step_is_at_the_peak_of_a_constant_rate():
    settings = OptimSettings(schedule="constant", peak_lr=0.3, warmup_steps=0)
    assert learning_rate_at(settings, 1) == 0.3


def test_matrices_decay_and_vectors_do_not():
    model = small()
    optimizer = build_optimizer(OptimSettings(weight_decay=0.5, peak_lr=0.1), model)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer.step()
    for name, weight in model.named_parameters():
        kept = 1.0 if "norm" in name else 0.95
        torch.testing.assert_close(weight.detach(), before[name] * kept)


def test_every_trainable_weight_is_in_one_group_and_frozen_ones_in_none():
    model = small()
    model.embedding.requires_grad_(False)
    groups = build_optimizer(OptimSettings(), model).param_groups
    grouped = [id(weight) for group in groups for weight in group["params"]]
    assert sorted(grouped) == sorted(id(weight) for weight in model.parameters() if weight.requires_grad)


@pytest.mark.parametrize(("kind", "cls"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)])
def test_kind_betas_eps_and_fused_kernel_are_those_of_the_settings(kind, cls):
    optimizer = build_optimizer(OptimSettings(kind=kind, betas=(0.8, 0.9), eps=1e-6), small())
    assert type(optimizer) is cls
    assert all(group["betas"] == (0.8, 0.9) and group["eps"] == 1e-6 for group in optimizer.param_groups)
    assert all(group["fused"] for group in optimizer.param_groups)


def test_an_optimiser_put_down_and_taken_up_again_makes_the_same_steps():
    def steps(model: Decoder, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
        for step in range(first, last):
            ids_BT = torch.randint(0, 12, (2, 9), generator=torch.Generator().manual_seed(step))
            model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0].backward()
            optimizer.step()
            optimizer.zero_grad()

    whole, halves = small(), small()
    steps(whole, build_optimizer(OptimSettings(), whole), 0, 6)
    first = build_optimizer(OptimSettings(), halves)
    steps(halves, first, 0, 3)
    second = build_optimizer(OptimSettings(), halves)
    second.load_state_dict(first.state_dict())
    steps(halves, second, 3, 6)
    for mine, theirs in zip(whole.parameters(), halves.parameters(), strict=True):
        assert torch.equal(mine, theirs)
