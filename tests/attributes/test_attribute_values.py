"""Values of attributes that can be worked out by hand."""

import numpy as np
import pytest

from etude.attributes import attribute
from etude.attributes.in_key import find_key
from etude.music.key_finding import key_probabilities, pitch_class_time
from etude.music.score import Controls, Score, Tempos, TimeSignatures, Track

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


def test_the_probabilities_of_keys_add_up_to_one_and_move_with_the_piece():
    tune = line([62, 66, 69, 67, 66, 64, 62, 61, 62])
    likely = key_probabilities(pitch_class_time(tune))
    assert likely.sum() == pytest.approx(1)
    moved = key_probabilities(pitch_class_time(line([64, 68, 71, 69, 68, 66, 64, 63, 64])))
    assert moved[[2, 14]] == pytest.approx(np.roll(likely.reshape(2, 12), 2, axis=1)[:, 2])
    assert key_probabilities(np.zeros(12)) is None


def test_velocity_and_register_are_means():
    score = Score.of([0, 480], [480, 480], [48, 72], [40, 100])
    assert attribute("velocity_level").measure(score) == 70.0
    assert attribute("register").measure(score) == 60.0


@pytest.mark.parametrize(
    ("second", "ratio", "name"),
    [(240, 1.0, "straight"), (320, 2.0, "swung"), (360, 3.0, "dotted"), (288, 1.5, "light")],
)
def test_swing_is_long_to_short_eighth(second, ratio, name):
    beats = np.arange(8) * 480
    onset = np.concatenate([beats, beats + second])
    score = Score.of(onset, [100] * 16, [60] * 16)
    assert attribute("swing").measure(score) == pytest.approx(ratio)
    assert attribute("swing").bins.bin_of(attribute("swing").measure(score)) == name


def test_sixteenths_triplets_and_six_eight_do_not_swing():
    sixteenths = Score.of(np.arange(32) * 120, [100] * 32, [60] * 32)
    triplets = Score.of(np.arange(24) * 160, [100] * 24, [60] * 24)
    eighths = np.sort(np.concatenate([np.arange(8) * 480, np.arange(8) * 480 + 320]))
    signature = TimeSignatures.of(tick=[0], numerator=[6], denominator=[8])
    compound = Score.of(eighths, [100] * 16, [60] * 16, time_signatures=signature)
    assert [attribute("swing").measure(score) for score in (sixteenths, triplets, compound)] == [None] * 3


def chords(*roots, length=1920, thirds=None):
    """Triads one after the other."""
    thirds = [4] * len(roots) if thirds is None else thirds
    pitch = np.concatenate([[root, root + third, root + 7] for root, third in zip(roots, thirds, strict=True)])
    onset = np.repeat(np.arange(len(roots)) * length, 3)
    return Score.of(onset, [length] * len(pitch), pitch)


@pytest.mark.parametrize(
    ("score", "per_bar"),
    [
        (chords(60, 60, 60, 60), 0.25),
        (chords(60, 65, 67, 60), 1.0),
        (chords(60, 65, 67, 60, length=960), 2.0),
        (chords(60, 65, 67, 60, length=480), 4.0),
        (chords(60, 57, 60, 57, thirds=[4, 3, 4, 3]), 1.0),
        (chords(60, 60, 65, 65, 67, 67, 60, 60, length=960), 1.0),
    ],
)
def test_chords_are_counted_where_the_harmony_changes(score, per_bar):
    assert attribute("chords_per_bar").measure(score) == pytest.approx(per_bar)


def test_passing_tones_over_a_chord_are_no_chords():
    held = chords(60, 60)
    tune = np.array([72, 74, 76, 77, 79, 77, 76, 74])
    onset = np.concatenate([held.notes.onset_tick, np.arange(8) * 480])
    duration = np.concatenate([held.notes.duration_tick, [480] * 8])
    score = Score.of(onset, duration, np.concatenate([held.notes.pitch, tune]))
    assert attribute("chords_per_bar").measure(score) == 0.5


def test_a_single_line_and_an_endless_piece_have_no_chords():
    assert attribute("chords_per_bar").measure(line(C_MAJOR)) is None
    endless = Score.of([0, 0, 2**31 - 2000], [480] * 3, [60, 64, 67], ppq=1)
    assert attribute("chords_per_bar").measure(endless) is None


def test_pedal_use_is_the_share_of_the_time_that_any_pedal_is_down():
    controls = Controls.of(
        tick=[0, 960, 480, 1440, 1440], track=[0, 0, 1, 1, 0], number=[64] * 4 + [67], value=[127, 0, 64, 63, 127]
    )
    score = Score.of([0, 0], [1920, 1920], [60, 64], track=[0, 1], controls=controls)
    assert attribute("pedal_use").measure(score) == pytest.approx(0.75)
    assert attribute("pedal_use").evidence(score) == "down for 1.5 s, pressed 2 times"
    left_down = Controls.of(tick=[960], track=[0], number=[64], value=[100])
    assert attribute("pedal_use").measure(Score.of([0], [1920], [60], controls=left_down)) == pytest.approx(0.5)
    assert attribute("pedal_use").measure(line(C_MAJOR)) == 0.0


def test_the_tempo_map_counts_in_seconds_of_the_pedal():
    tempos = Tempos.of(tick=[0, 960], us_per_quarter=[500_000, 1_000_000])
    down = Controls.of(tick=[960, 1920], track=[0, 0], number=[64, 64], value=[127, 0])
    score = Score.of([0], [1920], [60], controls=down, tempos=tempos)
    assert attribute("pedal_use").measure(score) == pytest.approx(2 / 3)
