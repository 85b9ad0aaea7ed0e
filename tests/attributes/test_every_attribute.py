"""What every attribute promises, whoever wrote it."""

import numpy as np
import pytest

from etude.attributes import ATTRIBUTES, NA, attribute, measure, numbers
from etude.errors import SettingsError
from etude.music.score import Score, Tempos, Track

PIANO = (Track(0),)


@pytest.fixture(params=sorted(ATTRIBUTES))
def chosen(request):
    return attribute(request.param)


def is_well_formed(value, bins):
    """Tell whether a value is None or what its kind of bins takes."""
    if value is None:
        return True
    if bins.kind == "set":
        return isinstance(value, tuple) and bins.bin_of(value) == value
    if bins.kind == "word":
        return isinstance(value, str) and bins.bin_of(value) in bins.names
    return type(value) is float and bool(np.isfinite(value))


def random_score(rng, *, pitch_shift=0, us_per_quarter=500_000, tracks=PIANO):
    count = 200
    return Score.of(
        np.sort(rng.integers(0, 20_000, count)),
        rng.integers(1, 900, count),
        rng.integers(30, 90, count) + pitch_shift,
        track=rng.integers(0, len(tracks), count),
        tracks=tracks,
        tempos=Tempos.of(tick=[0], us_per_quarter=[us_per_quarter]),
    )


def test_an_attribute_says_what_it_is(chosen):
    assert chosen.title
    assert chosen.unit
    assert chosen.meaning.endswith(".")
    assert chosen.origin in {"measured", "labelled", "predicted"}
    assert chosen.transposed in {"same", "same by octaves", "other"}
    assert chosen.faster in {"same", "times f", "over f"}
    assert (chosen.origin == "labelled") == hasattr(chosen, "label")


def test_bins_have_names_of_their_own_and_na_last(chosen):
    names = chosen.bins.names
    assert len(names) == len(set(names)) > 2
    assert names[-1] == NA
    assert all(name == name.strip() and "=" not in name and "+" not in name for name in names)
    assert chosen.bins.bin_of(None) == NA
    assert chosen.bins.parse("na") is None
    assert set(chosen.bins.aliases.values()) <= set(names)


def test_every_bin_can_be_asked_for_by_its_name(chosen):
    bins = chosen.bins
    for place, name in enumerate(bins.names[:-1]):
        asked = bins.parse(name.upper())
        assert bins.bin_of(asked) == ((name,) if bins.kind == "set" else name)
        assert bins.kind == "set" or bins.index(asked) == place


def test_an_edge_is_where_one_bin_ends_and_the_next_begins(chosen):
    bins = chosen.bins
    for place, (edge, goes) in enumerate(zip(bins.edges, bins.edge_goes, strict=True)):
        near = 1e-6 * max(1.0, abs(edge))
        assert bins.index(edge - near) == place
        assert bins.index(edge + near) == place + 1
        assert bins.index(edge) == place + (goes == "above")


def test_the_evidence_is_one_short_line(chosen):
    scores = [Score.of(), Score.of([0, 0], [0, 0], [60, 64]), random_score(np.random.default_rng(1))]
    for score in (*scores, random_score(np.random.default_rng(4), tracks=(Track(0, is_drum=True),))):
        line = chosen.evidence(score)
        assert 0 < len(line) < 200
        assert "\n" not in line


def test_a_score_without_notes_has_no_value(chosen):
    assert chosen.measure(Score.of()) is None


def test_notes_without_length_give_a_value_or_none(chosen):
    assert is_well_formed(chosen.measure(Score.of([0, 0], [0, 0], [60, 64])), chosen.bins)


def test_a_value_is_of_its_kind_and_the_same_every_time(chosen):
    score = random_score(np.random.default_rng(1))
    value = chosen.measure(score)
    assert is_well_formed(value, chosen.bins)
    assert (value is None) == (chosen.origin == "labelled" or chosen.title in {"danceability", "swing"})
    assert chosen.measure(score) == value
    assert chosen.bins.bin_of(value) == NA or value is not None


@pytest.mark.parametrize("semitones", [-12, -5, 1, 7])
def test_transposition_changes_the_value_as_declared(chosen, semitones):
    value = chosen.measure(random_score(np.random.default_rng(2)))
    moved = chosen.measure(random_score(np.random.default_rng(2), pitch_shift=semitones))
    if chosen.transposed == "same" or (chosen.transposed == "same by octaves" and semitones % 12 == 0):
        assert moved == (pytest.approx(value) if chosen.bins.kind == "number" else value)
    else:
        assert moved != (pytest.approx(value) if chosen.bins.kind == "number" else value)


@pytest.mark.parametrize("factor", [2, 5])
def test_tempo_changes_the_value_as_declared(chosen, factor):
    value = chosen.measure(random_score(np.random.default_rng(3)))
    faster = chosen.measure(random_score(np.random.default_rng(3), us_per_quarter=500_000 // factor))
    if chosen.bins.kind == "number" and value is not None:
        value = pytest.approx(value * {"same": 1, "times f": factor, "over f": 1 / factor}[chosen.faster])
    assert faster == value


def test_drums_alone_give_a_value_or_none(chosen):
    value = chosen.measure(random_score(np.random.default_rng(4), tracks=(Track(0, is_drum=True),)))
    assert is_well_formed(value, chosen.bins)


def test_your_own_attribute_works_by_module_and_class():
    assert measure(Score.of([0], [480], [60]), ["etude.attributes.polyphony:Polyphony"]) == {
        "etude.attributes.polyphony:Polyphony": 1.0
    }


def test_a_misspelt_attribute_names_the_nearest():
    with pytest.raises(SettingsError, match="did you mean 'polyphony'"):
        attribute("polyphoni")
    with pytest.raises(SettingsError, match="no class 'Missing'"):
        attribute("etude.attributes.polyphony:Missing")


def test_the_attributes_with_numbers_are_told_apart():
    assert {"tempo", "bars", "polyphony"} <= set(numbers())
    assert not {"metre", "key", "instruments", "genre"} & set(numbers())
