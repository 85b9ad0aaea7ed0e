"""Takes against held-out pieces."""

import numpy as np
import pytest

from etude.metrics.distance import compare, evaluate, overlap
from etude.music.score import Score


def test_the_distance_is_in_standard_deviations_of_the_held_out_pieces():
    numbers = evaluate(np.array([5.0, 7.0]), np.array([1.0, 3.0, 5.0, 3.0]))
    assert numbers["difference"] == 3.0
    assert numbers["held_out_std"] == pytest.approx(np.sqrt(2))
    assert numbers["distance"] == pytest.approx(3 / np.sqrt(2))


def test_equal_samples_overlap_wholly_and_distant_ones_not_at_all():
    values = np.random.default_rng(0).normal(size=300)
    assert overlap(values, values) == pytest.approx(1, abs=1e-3)
    assert overlap(values, values + 100) < 1e-6
    assert overlap(values, values + 1) == overlap(values + 1, values)


def test_the_overlap_of_two_normal_samples_is_the_one_of_their_densities():
    rng = np.random.default_rng(0)
    # two unit normals one apart share 2 * Phi(-1/2) = 0.617
    assert overlap(rng.normal(size=4000), rng.normal(size=4000) + 1) == pytest.approx(0.617, abs=0.04)


def test_one_take_or_equal_values_still_have_an_overlap():
    assert 0 < overlap(np.array([1.0]), np.array([0.5, 1.0, 1.5])) < 1
    assert overlap(np.array([2.0]), np.array([2.0, 2.0])) == 1.0
    assert overlap(np.array([2.0]), np.array([3.0, 3.0])) == 0.0


def test_the_interval_holds_the_difference_and_narrows_with_more_takes():
    rng = np.random.default_rng(1)
    held_out = rng.normal(size=200)
    few, many = (evaluate(rng.normal(size=n), held_out, seed=3) for n in (5, 500))
    for numbers in (few, many):
        assert numbers["difference_low"] < numbers["difference"] < numbers["difference_high"]
    width = [numbers["difference_high"] - numbers["difference_low"] for numbers in (few, many)]
    assert width[1] < width[0] / 3


def test_the_interval_is_a_function_of_the_seed():
    takes, held_out = np.arange(5.0), np.arange(9.0)
    assert evaluate(takes, held_out, seed=1) == evaluate(takes, held_out, seed=1)
    assert evaluate(takes, held_out, seed=1) != evaluate(takes, held_out, seed=2)


def test_equal_held_out_values_have_no_distance():
    assert evaluate(np.array([1.0]), np.array([2.0, 2.0]))["distance"] is None


@pytest.mark.parametrize(("takes", "held_out"), [([], [1.0, 2.0]), ([1.0], [1.0]), ([np.nan], [1.0, 2.0])])
def test_too_few_or_broken_values_are_refused(takes, held_out):
    with pytest.raises(ValueError, match="expected"):
        evaluate(np.array(takes), np.array(held_out))


def test_scores_are_compared_attribute_by_attribute_without_those_that_have_no_value():
    single = Score.of([0, 480], [480, 480], [60, 62])
    chord = Score.of([0, 0], [480, 480], [60, 64])
    compared = compare([chord, Score.of()], [single, chord, single], attributes=["polyphony"])
    assert compared["polyphony"]["takes"] == 1
    assert compared["polyphony"]["difference"] == pytest.approx(2 - 4 / 3)
    assert compared["polyphony"]["held_out_values"] == [1.0, 2.0, 1.0]
    assert compare([Score.of()], [single, chord], attributes=["polyphony"]) == {}
