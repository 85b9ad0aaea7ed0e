"""Optimisers and learning-rate schedules."""

import math

import pytest
import torch

from etude.errors import SettingsError
from etude.models.decoder import Decoder
from etude.models.settings import DecoderSettings
from etude.optim import ParameterGroup, build_optimizer, learning_rate_at, set_learning_rate
from etude.optim_kinds import Muon, Prodigy, nearest_rotation
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


SCHEDULES = ["noam", "cosine", "constant", "warmup_linear", "polynomial", "exponential", "step", "inverse_sqrt"]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_warms_up_in_a_line_from_0_to_its_peak(schedule):
    settings = OptimSettings(schedule=schedule, peak_lr=0.4, warmup_steps=20)
    assert [learning_rate_at(settings, step) for step in (0, 5, 10, 20)] == pytest.approx([0, 0.1, 0.2, 0.4])
    assert max(learning_rate_at(settings, step) for step in range(2000)) == pytest.approx(0.4)


def formula(schedule: str, t: int) -> float:
    """The textbook's formula with a warm-up of 20, an end at 100, a peak of 2 and 0.1 of it at the end."""
    done = min(1.0, (t - 20) / 80)
    factor = {
        "constant": lambda: 1.0,
        "cosine": lambda: 0.1 + 0.9 * (1 + math.cos(math.pi * done)) / 2,
        "warmup_linear": lambda: 1 - 0.9 * done,
        "polynomial": lambda: 0.1 + 0.9 * (1 - done) ** 3,
        "exponential": lambda: math.exp(math.log(0.1) * done),
        "step": lambda: [1, 0.25, 0.0625, 0.015625][(t - 20) // 30],
        "inverse_sqrt": lambda: 20**0.5 / t**0.5,
        "noam": lambda: 20**0.5 * t**-0.5,
    }[schedule]
    return 2.0 * factor()


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("step", [20, 40, 60, 99, 100, 130])
def test_every_schedule_equals_its_formula(schedule, step):
    """covers: K16 (partly)"""
    settings = OptimSettings(
        schedule=schedule,
        peak_lr=2.0,
        warmup_steps=20,
        schedule_steps=100,
        final_lr_fraction=0.1,
        decay_power=3.0,
        decay_every_steps=30,
        decay_factor=0.25,
    )
    assert learning_rate_at(settings, step) == pytest.approx(formula(schedule, step), rel=1e-12)


def test_an_inverse_square_root_needs_no_warm_up_and_the_transformer_s_own_schedule_does():
    settings = OptimSettings(schedule="inverse_sqrt", peak_lr=0.5, warmup_steps=0)
    assert [learning_rate_at(settings, step) for step in (1, 4, 100)] == [0.5, 0.25, 0.05]
    with pytest.raises(ValueError, match="needs a warm-up of 1 step or more"):
        OptimSettings(schedule="noam", warmup_steps=0)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"schedule": "polynomial", "warmup_steps": 9, "schedule_steps": 9}, "not below optim.schedule_steps = 9"),
        ({"schedule": "exponential", "final_lr_fraction": 0.0}, "never gets there"),
        ({"kind": "prodigy"}, "set optim.peak_lr=1"),
    ],
)
def test_schedules_and_kinds_that_cannot_be_meant_are_refused(values, said):
    with pytest.raises(SettingsError, match=said):
        OptimSettings.parse(values)


@pytest.mark.parametrize("schedule", ["cosine", "warmup_linear", "polynomial", "exponential"])
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


def test_embeddings_have_a_rate_of_their_own():
    """covers: K17 (partly)"""
    model = small()
    settings = OptimSettings(embedding_lr_factor=0.25, peak_lr=0.1)
    optimizer = build_optimizer(settings, model)
    set_learning_rate(optimizer, 0.08)
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    assert {name for name, weight in model.named_parameters() if rates[id(weight)] == 0.02} == {"embedding.weight"}
    assert set(rates.values()) == {0.02, 0.08}


class Grouped(torch.nn.Module):
    """A model that hands out its own groups."""

    def __init__(self, *, forgets: bool = False, repeats: bool = False):
        super().__init__()
        self.slow, self.fast = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
        self._forgets, self._repeats = forgets, repeats

    def parameter_groups(self) -> list[ParameterGroup]:
        slow = [self.slow.weight] if self._forgets else list(self.slow.parameters())
        fast = [*self.fast.parameters(), *([slow[0]] if self._repeats else [])]
        return [ParameterGroup("slow", slow, lr_factor=0.5, decays=False), ParameterGroup("fast", fast)]


def test_a_model_may_hand_out_its_groups_and_every_parameter_is_in_exactly_one():
    """covers: K17"""
    model = Grouped()
    optimizer = build_optimizer(OptimSettings(peak_lr=0.1, weight_decay=0.3), model)
    held = [weight for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(map(id, held)) == sorted(map(id, model.parameters()))
    told = {(group["name"], group["lr"], group["weight_decay"]) for group in optimizer.param_groups}
    assert told == {("slow", 0.05, 0.0), ("fast", 0.1, 0.3), ("fast", 0.1, 0.0)}
    with pytest.raises(SettingsError, match=r"parameter slow.bias is in 0 groups of Grouped.parameter_groups\(\)"):
        build_optimizer(OptimSettings(), Grouped(forgets=True))
    with pytest.raises(SettingsError, match="parameter slow.weight is in 2 groups"):
        build_optimizer(OptimSettings(), Grouped(repeats=True))


@pytest.mark.parametrize(("kind", "peak_lr"), [("adam", 3e-3), ("adamw", 3e-3), ("prodigy", 1.0), ("muon", 3e-3)])
def test_every_kind_learns(kind, peak_lr):
    """covers: K16 (partly)"""
    model, settings = small(), OptimSettings(kind=kind, peak_lr=peak_lr, schedule="constant", warmup_steps=0)
    optimizer = build_optimizer(settings, model)
    ids_BT = torch.randint(0, 12, (8, 9), generator=torch.Generator().manual_seed(3))
    losses = []
    for _ in range(120):
        loss = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_prodigy_finds_the_step_size_whatever_the_distance(scale):
    """covers: K16"""
    torch.manual_seed(0)
    goal = scale * torch.randn(20)
    weights = torch.nn.Parameter(torch.zeros(20))
    optimizer = Prodigy([weights], betas=(0.9, 0.999))
    for step in range(400):
        set_learning_rate(optimizer, 0.5 * (1 + math.cos(math.pi * step / 400)))
        (weights - goal).abs().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert (weights - goal).abs().max() < 0.05 * scale
    assert float(optimizer.state[weights]["step_size"]) == pytest.approx(scale, rel=0.9)


def plain_prodigy(x, gradients, *, b1, b2, eps):
    """Algorithm 4 of the paper, in float64, one line a line."""
    x0, m, v, s, r, d = x.clone(), 0.0, 0.0, 0.0, 0.0, 1e-6
    for g in gradients:
        m = b1 * m + (1 - b1) * d * g
        v = b2 * v + (1 - b2) * d**2 * g**2
        r = b2**0.5 * r + (1 - b2**0.5) * d**2 * float(g @ (x0 - x))
        s = b2**0.5 * s + (1 - b2**0.5) * d**2 * g
        larger = max(d, r / float(s.abs().sum()))
        x = x - d * m / (v.sqrt() + d * eps)
        d = larger
    return x


def test_prodigy_is_the_paper_s_algorithm():
    torch.manual_seed(1)
    start, gradients = torch.randn(7, dtype=torch.float64), torch.randn(30, 7, dtype=torch.float64) + 0.5
    weights = [torch.nn.Parameter(part.clone()) for part in start.split([3, 4])]
    optimizer = Prodigy(weights, betas=(0.9, 0.99), eps=1e-8)
    for gradient in gradients:
        for weight, part in zip(weights, gradient.split([3, 4]), strict=True):
            weight.grad = part.clone()
        optimizer.step()
    expected = plain_prodigy(start, gradients, b1=0.9, b2=0.99, eps=1e-8)
    torch.testing.assert_close(torch.cat([weight.detach() for weight in weights]), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_the_nearest_rotation_has_the_same_directions_and_lengths_near_1(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = nearest_rotation(matrix)
    lengths = torch.diagonal(left.T @ turned @ right.T)
    assert lengths.min() > 0.5
    assert lengths.max() < 1.3
    torch.testing.assert_close(left @ torch.diag(lengths) @ right, turned, atol=1e-4, rtol=0)


def test_muon_turns_the_matrices_of_blocks_and_leaves_the_rest_to_adamw():
    model, plain = small(), small()
    for weights, kind in ((model, "muon"), (plain, "adamw")):
        optimizer = build_optimizer(OptimSettings(kind=kind, peak_lr=0.01, weight_decay=0.0), weights)
        assert isinstance(optimizer, Muon) == (kind == "muon")
        ids_BT = torch.randint(0, 12, (2, 9), generator=torch.Generator().manual_seed(0))
        weights.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0].backward()
        optimizer.step()
    begun = dict(small().named_parameters())
    for (name, mine), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        is_turned = name.startswith("blocks") and mine.ndim == 2 and "relative" not in name
        assert torch.equal(mine, theirs) != is_turned, name
        if is_turned:
            step = (mine - begun[name]) / (0.2 * max(mine.shape) ** 0.5 * 0.01)
            assert torch.linalg.svdvals(step).max() < 1.3


@pytest.mark.parametrize("kind", ["prodigy", "muon"])
def test_what_our_own_kinds_remember_is_tensors_by_parameter(kind):
    model = small()
    optimizer = build_optimizer(OptimSettings(kind=kind, peak_lr=1.0), model)
    model.loss(torch.zeros(1, 8, dtype=torch.long), torch.zeros(1, 8, dtype=torch.long))[0].backward()
    optimizer.step()
    for weight in model.parameters():
        moments = optimizer.state[weight]
        assert moments
        assert all(isinstance(value, torch.Tensor) and value.shape in (weight.shape, ()) for value in moments.values())
