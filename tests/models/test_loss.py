"""The chunked cross-entropy against torch's own."""

import pytest
import torch
from torch.nn import functional as F

from etude.models import loss as module
from etude.models.loss import cross_entropy, score_targets


@pytest.fixture(params=[1, 40, 2**23], ids=["a token a chunk", "a few", "all at once"])
def given(request, monkeypatch):
    """Hidden states, head, targets and weights; the vocabulary has 11 ids."""
    monkeypatch.setattr(module, "_LOGITS_PER_CHUNK", request.param)
    generator = torch.Generator().manual_seed(0)
    hidden_BTD = torch.randn(3, 7, 5, generator=generator).requires_grad_()
    head_VD = torch.randn(11, 5, generator=generator).requires_grad_()
    targets_BT = torch.randint(0, 11, (3, 7), generator=generator)
    weight_BT = torch.rand(3, 7, generator=generator).mul(3).floor()
    return hidden_BTD, head_VD, targets_BT, weight_BT


def plain(hidden_BTD, head_VD, targets_BT):
    return F.cross_entropy((hidden_BTD @ head_VD.T).flatten(0, 1), targets_BT.flatten(), reduction="none")


@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradients_equal_torch_s(given, weighted):
    hidden_BTD, head_VD, targets_BT, weight_BT = given
    weight = weight_BT if weighted else torch.ones(3, 7)
    nats, _ = cross_entropy(hidden_BTD, head_VD, targets_BT, weight_BT if weighted else None)
    expected = (plain(hidden_BTD, head_VD, targets_BT) * weight.flatten()).sum() / weight.sum()
    torch.testing.assert_close(nats, expected)
    ours = torch.autograd.grad(2 * nats, (hidden_BTD, head_VD))
    theirs = torch.autograd.grad(2 * expected, (hidden_BTD, head_VD))
    torch.testing.assert_close(ours, theirs)


def test_a_bias_counts_and_gets_its_gradient(given):
    hidden_BTD, head_VD, targets_BT, weight_BT = given
    bias_V = torch.randn(11, generator=torch.Generator().manual_seed(3)).requires_grad_()
    logits = (hidden_BTD @ head_VD.T + bias_V).flatten(0, 1)
    nats, hits = cross_entropy(hidden_BTD, head_VD, targets_BT, weight_BT, bias_V=bias_V)
    each = F.cross_entropy(logits, targets_BT.flatten(), reduction="none")
    torch.testing.assert_close(nats, (each * weight_BT.flatten()).sum() / weight_BT.sum())
    assert hits == ((logits.argmax(-1) == targets_BT.flatten()) & (weight_BT.flatten() > 0)).sum()
    of = (hidden_BTD, head_VD, bias_V)
    torch.testing.assert_close(
        torch.autograd.grad(2 * nats, of),
        torch.autograd.grad(2 * (each * weight_BT.flatten()).sum() / weight_BT.sum(), of),
    )
    nats_BT, _ = score_targets(hidden_BTD, head_VD, targets_BT, bias_V)
    torch.testing.assert_close(nats_BT.flatten(), each.detach())


def test_losses_of_micro_batches_over_the_whole_weight_add_up_to_the_batch_s(given):
    hidden_BTD, head_VD, targets_BT, weight_BT = given
    whole, hits = cross_entropy(hidden_BTD, head_VD, targets_BT, weight_BT)
    rows = [slice(i, i + 1) for i in range(3)]
    total = weight_BT.sum()
    parts = [
        cross_entropy(hidden_BTD[row], head_VD, targets_BT[row], weight_BT[row], total_weight=total) for row in rows
    ]
    torch.testing.assert_close(sum(nats for nats, _ in parts), whole)
    assert sum(part_hits for _, part_hits in parts) == hits


def test_hits_are_counted_where_the_weight_is_above_0(given):
    hidden_BTD, head_VD, targets_BT, weight_BT = given
    likeliest_BT = (hidden_BTD @ head_VD.T).argmax(-1)
    _, num_correct = cross_entropy(hidden_BTD, head_VD, likeliest_BT, weight_BT)
    assert num_correct == (weight_BT > 0).sum()
    assert num_correct < 21


def test_no_weight_at_all_is_a_loss_of_0_with_no_gradient(given):
    hidden_BTD, head_VD, targets_BT, _ = given
    nats, num_correct = cross_entropy(hidden_BTD, head_VD, targets_BT, torch.zeros(3, 7, dtype=torch.bool))
    nats.backward()
    assert nats == 0
    assert num_correct == 0
    assert not hidden_BTD.grad.any()
    assert not head_VD.grad.any()


def test_a_frozen_head_gets_no_gradient_and_hidden_states_still_do(given):
    hidden_BTD, head_VD, targets_BT, _ = given
    cross_entropy(hidden_BTD, head_VD.detach(), targets_BT)[0].backward()
    assert hidden_BTD.grad.any()


def test_scores_are_those_of_torch_target_by_target(given):
    hidden_BTD, head_VD, targets_BT, _ = given
    nats_BT, correct_BT = score_targets(hidden_BTD, head_VD, targets_BT)
    torch.testing.assert_close(nats_BT.flatten(), plain(hidden_BTD, head_VD, targets_BT).detach())
    assert torch.equal(correct_BT, (hidden_BTD @ head_VD.T).argmax(-1) == targets_BT)


def test_a_loss_that_is_not_a_number_stays_visible(given):
    hidden_BTD, head_VD, targets_BT, _ = given
    broken_BTD = hidden_BTD.detach().clone()
    broken_BTD[1, 2, 3] = float("nan")
    assert cross_entropy(broken_BTD, head_VD, targets_BT)[0].isnan()
