"""Variations of a Score: bounded, a function of seed and index, and still the same piece."""

from dataclasses import replace

import numpy as np
import pytest

from etude.errors import SettingsError
from etude.music.augment import AugmentSettings, augment, drawn_factor, drawn_semitones, drop_tracks, shift_velocity
from etude.music.check import check_score
from etude.music.columns import Tempos
from etude.music.score import Score, Track

EVERYTHING = AugmentSettings(transpose_semitones=5, tempo_percent=20.0, velocity_steps=2, drop_tracks=0.3)


def band() -> Score:
    """Return a piece for piano, bass and drums."""
    count = np.arange(30)
    return Score.of(
        count * 240,
        np.full(30, 200),
        40 + count,
        10 + count * 4,
        count % 3,
        tracks=[Track(0, name="piano"), Track(33), Track(0, is_drum=True)],
        tempos=Tempos.of(tick=[0, 1000], us_per_quarter=[400_000, 600_000]),
    )


def test_a_variation_is_a_function_of_seed_and_index():
    score = band()
    assert augment(score, EVERYTHING, seed=3, index=(1, "a")) == augment(score, EVERYTHING, seed=3, index=(1, "a"))
    others = [augment(score, EVERYTHING, seed=3, index=(epoch, name)) for epoch in range(5) for name in "ab"]
    assert sum(a != b for a in others for b in others) > 80
    assert augment(score, EVERYTHING, seed=4, index=(1, "a")) != augment(score, EVERYTHING, seed=3, index=(1, "a"))


def test_without_settings_a_piece_stays_as_it_is():
    assert augment(band(), AugmentSettings(), seed=1) == band()


def test_every_variation_is_a_valid_piece_within_what_was_asked():
    """covers: AP-11 (partly)"""
    score, tempos, semitones, velocities = band(), set(), set(), set()
    settings = EVERYTHING.replace(drop_tracks=0.0)
    pitched = score.notes.track < 2
    for epoch in range(200):
        varied = augment(score, settings, seed=0, index=(epoch,))
        assert check_score(varied) == []
        assert len(varied.notes) == len(score.notes)
        assert (varied.notes.onset_tick == score.notes.onset_tick).all()
        moved = varied.notes.pitch - score.notes.pitch
        assert (moved[~pitched] == 0).all()
        semitones.update(moved[pitched].tolist())
        velocities.update((varied.notes.velocity - score.notes.velocity)[5:20].tolist())
        tempos.add(varied.duration_sec / score.duration_sec)
    assert semitones == set(range(-5, 6))
    assert velocities == {-20, -10, 0, 10, 20}
    assert 0.8 <= min(tempos) < 0.85 < 1.15 < max(tempos) <= 1.2


def test_another_tempo_keeps_notes_ticks_and_order():
    """covers: AP-11 (partly)"""
    varied = augment(band(), AugmentSettings(tempo_percent=50.0), seed=0)
    assert varied.notes == band().notes
    assert (np.diff(varied.onset_sec) > 0).all()


def test_velocities_stay_within_midi():
    velocity = shift_velocity(band(), 100).notes.velocity
    assert velocity.tolist() == [min(127, 110 + 4 * k) for k in range(30)]
    assert shift_velocity(band(), -200).notes.velocity.tolist() == [1] * 30


@pytest.mark.parametrize(("low", "high"), [(0, 125), (3, 127), (0, 127)])
def test_only_what_keeps_all_notes_in_range_is_drawn(low, high):
    tracks = [Track(0), Track(0, is_drum=True)]
    score = Score.of([0, 1, 2, 3], [1] * 4, [low, high, 0, 127], track=[0, 0, 1, 1], tracks=tracks)
    drawn = {drawn_semitones(score, 6, seed=0, index=(k,)) for k in range(200)}
    assert drawn == {k for k in range(-6, 7) if low + k >= 0 and high + k <= 127}


def test_one_track_that_has_notes_always_stays():
    score = band()
    with_empty = replace(score, tracks=(*score.tracks, Track(5)))
    left = [drop_tracks(with_empty, 1.0, seed=k).tracks for k in range(40)]
    assert {tracks[0] for tracks in left} == set(score.tracks)
    assert all(len(tracks) == 1 for tracks in left)
    assert drop_tracks(score, 0.0, seed=1) == score
    alone = Score.of([0], [1], [60])
    assert drop_tracks(alone, 1.0, seed=1) is alone


def test_tracks_are_dropped_about_as_often_as_asked():
    left = [len(drop_tracks(band(), 0.25, seed=k).tracks) for k in range(400)]
    # one of three is kept whatever is drawn for it
    assert 3 - 2 * 0.25 - 0.06 < np.mean(left) < 3 - 2 * 0.25 + 0.06


def test_a_tempo_that_midi_cannot_hold_goes_as_far_as_it_can():
    extreme = Tempos.of(tick=[0, 10], us_per_quarter=[16_700_000, 1])
    for seed in range(20):
        varied = augment(replace(band(), tempos=extreme), AugmentSettings(tempo_percent=50.0), seed=seed)
        assert check_score(varied) == []


def test_factors_lie_evenly_around_one():
    drawn = [drawn_factor(20.0, seed=1, index=(k,)) for k in range(2000)]
    assert 0.8 <= min(drawn) < 0.81
    assert 1.19 < max(drawn) <= 1.2
    assert np.mean(drawn) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("wrong", [{"tempo_percent": 60.0}, {"drop_tracks": 1.5}, {"velocity_steps": -1}])
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        AugmentSettings.parse(wrong)
