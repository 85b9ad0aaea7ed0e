"""Bins: where values fall, and what is refused."""

import pytest

from etude.attributes import Bins
from etude.errors import SettingsError

TEMPO = Bins.of_edges(("slow", "moderate", "fast"), (76, 120), ("below", "above"))
METRE = Bins.of_words(("4/4", "3/4", "other"), other="other", aliases={"waltz": "3/4"})
GENRE = Bins.of_sets(("jazz", "folk"), aliases={"swing": "jazz"})


def test_a_number_next_to_an_edge_counts_as_on_it():
    assert TEMPO.bin_of(76 * (1 + 1e-12)) == "slow"
    assert TEMPO.bin_of(120 * (1 - 1e-12)) == "fast"
    assert TEMPO.bin_of(76.001) == "moderate"
    assert TEMPO.bin_of(float("inf")) == "fast"


def test_what_is_typed_may_be_a_number_a_name_or_an_alias():
    assert (TEMPO.parse(" 92.5 "), TEMPO.parse("Fast"), TEMPO.parse("NA")) == (92.5, "fast", None)
    assert (METRE.parse("Waltz"), METRE.parse("5/4"), METRE.bin_of("5/4")) == ("3/4", "5/4", "other")
    assert (GENRE.parse("folk+Swing"), GENRE.bin_of(("folk",)), GENRE.bin_of(())) == (("jazz", "folk"), ("folk",), ())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TEMPO.parse("fats"), "value 'fats': did you mean 'fast'?, or a number"),
        (lambda: TEMPO.parse("nan"), "value nan: expected a number"),
        (lambda: GENRE.parse("jaz"), "value 'jaz': did you mean 'jazz'?"),
        (lambda: TEMPO.index("quick"), "value 'quick': there are"),
    ],
)
def test_what_is_no_value_is_refused_with_the_nearest(call, message):
    with pytest.raises(SettingsError) as refused:
        call()
    assert str(refused.value).startswith(message)


def test_edges_rise_and_are_one_fewer_than_names():
    for edges in ((120, 76), (1, 1), (1,)):
        with pytest.raises(ValueError, match="expected rising edges, one fewer than names"):
            Bins.of_edges(("a", "b", "c"), edges)


def test_a_set_has_no_one_place():
    with pytest.raises(TypeError, match="ask for bin_of"):
        GENRE.index(("jazz",))
