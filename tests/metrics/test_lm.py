"""Sums of a split become losses per token, note and second."""

import math

import pytest

from etude.metrics.lm import evaluate


def test_losses_are_sums_over_counts():
    """covers: star-59"""
    scores = evaluate(nats=300.0, tokens=150, notes=60, seconds=12.0, correct=30)
    assert (scores["nats_per_token"], scores["nats_per_note"], scores["nats_per_sec"]) == (2.0, 5.0, 25.0)
    assert scores["accuracy"] == 0.2
    assert scores["bits_per_note"] == pytest.approx(5 / math.log(2))
    assert scores["perplexity"] == pytest.approx(math.e**2)


def test_what_cannot_be_counted_is_none():
    scores = evaluate(nats=1.0, tokens=1, notes=0, seconds=0.0)
    assert scores["nats_per_note"] is None
    assert scores["bits_per_sec"] is None
    assert scores["accuracy"] is None


def test_an_absurd_loss_has_no_perplexity():
    assert evaluate(nats=1e6, tokens=1, notes=1, seconds=1.0)["perplexity"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"nats": -1.0},
        {"nats": math.nan},
        {"nats": math.inf},
        {"tokens": 0},
        {"notes": -1},
        {"seconds": -1.0},
        {"correct": 11},
    ],
)
def test_sums_that_cannot_be_are_refused(wrong):
    good = {"nats": 10.0, "tokens": 10, "notes": 5, "seconds": 1.0, "correct": 5}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        evaluate(**good | wrong)
