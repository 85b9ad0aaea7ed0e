"""What every attribute promises, whoever wrote it."""

import numpy as np
import pytest

from etude.attributes import ATTRIBUTES, attribute, measure
from etude.errors import SettingsError
from etude.music.score import Score, Tempos, Track

PIANO = (Track(0),)


@pytest.fixture(params=sorted(ATTRIBUTES))
def chosen(request):
    return attribute(request.param)


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
    assert chosen.transposed in {"same", "other"}
    assert chosen.faster in {"same", "times f"}


def test_a_score_without_notes_has_no_value(chosen):
    assert chosen.measure(Score.of()) is None


def test_notes_without_length_give_a_finite_value_or_none(chosen):
    value = chosen.measure(Score.of([0, 0], [0, 0], [60, 64]))
    assert value is None or np.isfinite(value)


def test_a_value_is_a_finite_float_and_the_same_every_time(chosen):
    score = random_score(np.random.default_rng(1))
    value = chosen.measure(score)
    assert type(value) is float
    assert np.isfinite(value)
    assert chosen.measure(score) == value


@pytest.mark.parametrize("semitones", [-12, -5, 1, 7])
def test_transposition_changes_the_value_as_declared(chosen, semitones):
    value = chosen.measure(random_score(np.random.default_rng(2)))
    moved = chosen.measure(random_score(np.random.default_rng(2), pitch_shift=semitones))
    if chosen.transposed == "same":
        assert moved == pytest.approx(value)
    else:
        assert moved != pytest.approx(value)


@pytest.mark.parametrize("factor", [2, 5])
def test_tempo_changes_the_value_as_declared(chosen, factor):
    value = chosen.measure(random_score(np.random.default_rng(3)))
    faster = chosen.measure(random_score(np.random.default_rng(3), us_per_quarter=500_000 // factor))
    assert faster == pytest.approx(value * factor if chosen.faster == "times f" else value)


def test_drums_alone_give_a_finite_value_or_none(chosen):
    value = chosen.measure(random_score(np.random.default_rng(4), tracks=(Track(0, is_drum=True),)))
    assert value is None or np.isfinite(value)


def test_your_own_attribute_works_by_module_and_class():
    assert measure(Score.of([0], [480], [60]), ["etude.attributes.polyphony:Polyphony"]) == {
        "etude.attributes.polyphony:Polyphony": 1.0
    }


def test_a_misspelt_attribute_names_the_nearest():
    with pytest.raises(SettingsError, match="did you mean 'polyphony'"):
        attribute("polyphoni")
    with pytest.raises(SettingsError, match="no class 'Missing'"):
        attribute("etude.attributes.polyphony:Missing")
