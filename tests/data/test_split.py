"""Whole groups go to one split, drawn from their names and the seed."""

from collections import Counter

import pytest

from etude.data.split import split_by_group
from etude.errors import CorpusError


def groups_of(*sizes):
    return [f"group {k}" for k, size in enumerate(sizes) for _ in range(size)]


def pieces(groups, split):
    return Counter(split[group] for group in groups)


def test_the_same_seed_gives_the_same_split_whatever_the_order_of_the_pieces():
    groups = groups_of(*range(1, 40))
    assert split_by_group(groups, seed=3) == split_by_group(groups[::-1], seed=3)


def test_another_seed_gives_another_split():
    groups = groups_of(*[1] * 50)
    assert split_by_group(groups, seed=3) != split_by_group(groups, seed=4)


@pytest.mark.parametrize("num_groups", [10, 37, 100, 1000])
def test_the_shares_are_what_was_asked_for(num_groups):
    groups = groups_of(*[1] * num_groups)
    for seed in range(3):
        count = pieces(groups, split_by_group(groups, seed=seed, fractions=(0.7, 0.2, 0.1)))
        assert abs(count["valid"] - 0.2 * num_groups) <= 0.5
        assert abs(count["test"] - 0.1 * num_groups) <= 0.5


def test_a_large_group_does_not_make_a_small_split_many_times_its_size():
    groups = groups_of(200, *[2] * 100)
    for seed in range(20):
        count = pieces(groups, split_by_group(groups, seed=seed))
        assert 35 <= count["valid"] <= 45
        assert 35 <= count["test"] <= 45


@pytest.mark.parametrize(
    ("num_groups", "expected"),
    [(1, {"train": 1}), (2, {"train": 1, "valid": 1}), (3, {"train": 1, "valid": 1, "test": 1})],
)
def test_a_small_corpus_has_something_to_validate_on(num_groups, expected):
    groups = groups_of(*[1] * num_groups)
    for seed in range(5):
        assert pieces(groups, split_by_group(groups, seed=seed)) == expected


def test_a_split_with_no_share_stays_empty():
    groups = groups_of(*[1] * 20)
    assert set(split_by_group(groups, seed=0, fractions=(1.0, 0.0, 0.0)).values()) == {"train"}
    assert "test" not in split_by_group(groups, seed=0, fractions=(0.9, 0.1, 0.0)).values()


def test_a_given_split_is_kept_and_counts_towards_the_shares():
    groups = groups_of(*[1] * 20)
    given = {"group 0": "valid", "group 1": "valid", "group 2": "test"}
    split = split_by_group(groups, seed=0, given=given)
    assert split | given == split
    assert pieces(groups, split) == {"train": 16, "valid": 2, "test": 2}


def test_groups_that_stay_keep_their_neighbours_when_the_corpus_grows():
    """Adding a tenth of new groups moves few of the old ones: only those at the borders of the order."""
    before = split_by_group(groups_of(*[1] * 500), seed=0)
    after = split_by_group(groups_of(*[1] * 550), seed=0)
    assert sum(after[group] != split for group, split in before.items()) <= 25


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.8, 0.3, 0.1), (1.2, -0.1, -0.1), (0.0, 0.5, 0.5)])
def test_shares_that_do_not_add_up_are_refused(fractions):
    with pytest.raises(CorpusError, match="add up to 1"):
        split_by_group(["a"], seed=0, fractions=fractions)


def test_an_empty_split_takes_from_another_when_train_has_but_one_group():
    groups = ["all"] * 50 + [f"small {k}" for k in range(5)]
    assert set(split_by_group(groups, seed=0).values()) == {"train", "valid", "test"}
