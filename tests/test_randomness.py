"""Random numbers depend on (seed, stream, index) and on nothing else."""

import subprocess
import sys

import numpy as np
import pytest

from etude.randomness import below, generator, permutation, seed_of


def test_the_numbers_of_a_stream_are_pinned():
    """A change here would change the batches of every run that was ever started."""
    assert seed_of(0, "order", 0) == 5119750496334346299
    assert permutation(8, 1, "order", 2).tolist() == [3, 1, 2, 0, 5, 4, 7, 6]


def test_another_process_draws_the_same_numbers():
    code = "from etude.randomness import *; print(seed_of(3, 'dropout', 5, 1), *permutation(5, 3, 'order', 0))"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [int(number) for number in seen] == [seed_of(3, "dropout", 5, 1), *permutation(5, 3, "order", 0)]


@pytest.mark.parametrize(
    "other", [(1, "a", 0), (0, "b", 0), (0, "a", 1), (0, "a", 0, 0), (0, "a"), (0, "a", "0"), (-1, "a", 0)]
)
def test_any_other_argument_gives_another_stream(other):
    assert seed_of(*other) != seed_of(0, "a", 0)
    assert (generator(*other).integers(2**62, size=4) != generator(0, "a", 0).integers(2**62, size=4)).any()


def test_the_order_of_calls_does_not_matter():
    forward = [seed_of(0, "x", k) for k in range(50)]
    assert [seed_of(0, "x", k) for k in reversed(range(50))] == forward[::-1]


def test_numpy_integers_count_as_integers():
    assert seed_of(np.int64(4), "x", np.int32(2)) == seed_of(4, "x", 2)


def test_seeds_fit_what_torch_accepts():
    seeds = [seed_of(0, "x", k) for k in range(2000)]
    assert min(seeds) >= 0
    assert max(seeds) < 2**63
    assert len(set(seeds)) == 2000


def test_draws_are_evenly_spread():
    draws = np.array([below(10, 0, "x", k) for k in range(5000)])
    assert np.abs(np.bincount(draws, minlength=10) - 500).max() < 100


def test_every_first_element_of_a_permutation_is_equally_likely():
    firsts = np.array([permutation(6, 0, "x", k)[0] for k in range(3000)])
    assert np.abs(np.bincount(firsts, minlength=6) - 500).max() < 110
