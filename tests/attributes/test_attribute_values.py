"""Values of attributes that can be worked out by hand."""

import numpy as np
import pytest

from etude.attributes import attribute
from etude.attributes.in_key import find_key
from etude.music.score import Score, Track

C_MAJOR = [60, 62, 64, 65, 67, 69, 71, 72]


def line(pitches, **more):
    return Score.of(np.arange(len(pitches)) * 480, [480] * len(pitches), pitches, **more)


@pytest.mark.parametrize("tonic", range(12))
def test_a_major_scale_is_wholly_in_its_key(tonic):
    scale = line([pitch + tonic for pitch in C_MAJOR])
    assert attribute("in_key").measure(scale) == 1.0
    assert find_key(scale) == (tonic, False)


def test_a_minor_triad_finds_its_minor_key():
    assert find_key(line([57, 60, 64, 57, 64, 69])) == (9, True)


def test_the_chromatic_scale_has_seven_twelfths_in_key():
    assert attribute("in_key").measure(line(range(60, 72))) == pytest.approx(7 / 12)


def test_in_key_weighs_notes_by_their_length():
    score = Score.of([0, 480, 960, 1440, 1920], [480, 480, 480, 480, 80], [60, 64, 67, 72, 61])
    assert attribute("in_key").measure(score) == pytest.approx(1920 / 2000)


def test_drums_do_not_count_as_pitches():
    tracks = (Track(0), Track(0, is_drum=True))
    score = Score.of([0, 0, 0, 0], [480] * 4, [60, 64, 67, 90], track=[0, 0, 0, 1], tracks=tracks)
    assert attribute("in_key").measure(score) == 1.0
    assert attribute("polyphony").measure(score) == 3.0
    assert attribute("pitch_range").measure(score) == 7.0


def test_polyphony_counts_only_time_in_which_something_sounds():
    # a note of four beats over two of one beat, a beat of silence, then one alone
    score = Score.of([0, 0, 480, 2400], [1920, 480, 480, 480], [48, 60, 62, 64])
    assert attribute("polyphony").measure(score) == pytest.approx((4 + 1 + 1 + 1) / 5)


def test_polyphony_agrees_with_counting_every_tick():
    rng = np.random.default_rng(0)
    onset, duration = np.sort(rng.integers(0, 3000, 100)), rng.integers(1, 200, 100)
    sounding = np.zeros(4000, int)
    for start, length in zip(onset, duration, strict=True):
        sounding[start : start + length] += 1
    score = Score.of(onset, duration, rng.integers(0, 128, 100))
    assert attribute("polyphony").measure(score) == pytest.approx(sounding[sounding > 0].mean())


def test_density_is_notes_over_seconds():
    assert attribute("note_density").measure(line(C_MAJOR)) == pytest.approx(2.0)
