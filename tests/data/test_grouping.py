"""Pieces that share something end in one group; what is settled stays."""

import numpy as np
import pytest

from etude.data.grouping import group_pieces
from etude.errors import CorpusError


def grouped(num, *, groups=None, splits=None, pairs=(), **more):
    ids = [f"{k:016x}" for k in range(num)]
    columns = [np.array([pair[k] for pair in pairs]) for k in range(3)] if pairs else None
    return group_pieces(
        ids, given_groups=groups or [None] * num, given_splits=splits or [None] * num, pairs=columns, **more
    )


def test_a_piece_of_which_nothing_is_known_is_its_own_group():
    assert grouped(3).groups == [f"{k:016x}" for k in range(3)]


def test_near_duplicates_share_the_name_of_a_given_group():
    """covers: star-8 (partly)"""
    made = grouped(4, groups=[None, "sonata", None, None], pairs=[(0, 1, 0.9), (2, 3, 0.5)])
    assert made.groups == ["sonata", "sonata", f"{2:016x}", f"{2:016x}"]
    assert made.joined.all()


def test_joining_goes_through_a_chain():
    assert len(set(grouped(4, pairs=[(0, 1, 0.9), (1, 2, 0.9), (2, 3, 0.9)]).groups)) == 1


def test_a_pair_across_two_settled_splits_is_a_leak_and_stays_apart():
    made = grouped(2, splits=["train", "test"], pairs=[(0, 1, 0.9)])
    assert made.joined.tolist() == [False]
    assert made.given == {f"{0:016x}": "train", f"{1:016x}": "test"}


def test_the_more_similar_pair_decides_where_an_open_piece_goes():
    made = grouped(3, splits=["train", None, "test"], pairs=[(0, 1, 0.4), (1, 2, 0.8)])
    assert made.joined.tolist() == [False, True]
    assert made.given[made.groups[1]] == "test"


def test_equal_labels_keep_pieces_together_and_missing_ones_do_not():
    made = grouped(4, keys={"performer": ["Shi", None, "Shi", None]})
    assert made.groups == ["performer=Shi", f"{1:016x}", "performer=Shi", f"{3:016x}"]


def test_two_labels_join_what_shares_either():
    made = grouped(3, keys={"work": ["a", "a", "b"], "performer": ["x", "y", "y"]})
    assert len(set(made.groups)) == 1


def test_a_label_in_two_settled_splits_is_refused():
    with pytest.raises(CorpusError, match="group by performer: 'Shi' has pieces in more than one of the splits"):
        grouped(2, splits=["train", "test"], keys={"performer": ["Shi", "Shi"]})


def test_the_group_of_an_exact_duplicate_joins_the_group_of_the_piece():
    made = grouped(2, groups=["a", "b"], copies=[(f"{0:016x}", "b")])
    assert made.groups == ["a", "a"]


def test_the_order_of_pairs_does_not_matter():
    pairs = [(0, 1, 0.5), (1, 2, 0.7), (3, 4, 0.7), (2, 3, 0.6)]
    splits = ["train", None, None, None, "test"]
    one, other = grouped(5, splits=splits, pairs=pairs), grouped(5, splits=splits, pairs=pairs[::-1])
    assert one.groups == other.groups
    assert one.joined.tolist() == other.joined.tolist()[::-1]
