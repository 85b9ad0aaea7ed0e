"""N-grams: what changes them, what does not, and what they leave out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pieces_with_variants import sampler_pieces, tune

from etude.fingerprints import ngrams
from etude.fingerprints.edges import upper_edges
from etude.music import edit
from etude.music.score import Score, Tempos, Track

DRUM_KIT = Track(0, is_drum=True)
PINNED = ["e001c6b5a4c37a0f", "b504c62d3cb42117", "ca33edb0676db4a0", "e56b739100a71fcf"]


@pytest.fixture(scope="module")
def pieces():
    return sampler_pieces(every=60)


def share_of(some, others):
    return np.isin(np.unique(some.hash), others.hash).mean()


def beat(seed, count=200, *, tracks=(DRUM_KIT,), track=None, spread=120):
    rng = np.random.default_rng(seed)
    pitch = rng.choice([36, 38, 42, 45, 49, 51], count, p=[0.3, 0.2, 0.2, 0.15, 0.05, 0.1])
    return Score.of(np.arange(count) * spread, np.full(count, 60), pitch, tracks=tracks, track=track)


@given(
    notes=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 127)), max_size=60),
    reaches=st.lists(st.sampled_from([0.5, 1.0, 3.0, 7.0, 100.0]), min_size=1, max_size=3, unique=True).map(sorted),
)
def test_an_edge_is_a_note_that_nothing_within_reach_is_higher_than(notes, reaches):
    notes = sorted(notes)
    onset = np.array([note[0] for note in notes], np.float64)
    height = np.array([note[1] for note in notes], np.int8)
    found = upper_edges(onset, height, tuple(reaches), with_repeats=True)
    for reach, rows in zip(reaches, found, strict=True):
        expected = [
            row for row, (at, high) in enumerate(notes) if all(h <= high for t, h in notes if abs(t - at) <= reach)
        ]
        assert rows.tolist() == expected


def test_successive_edges_of_one_height_count_once():
    rows = upper_edges(np.arange(5.0), np.array([60, 60, 64, 64, 60], np.int8), (0.5,))[0]
    assert rows.tolist() == [0, 2, 4]


def test_a_transposed_piece_has_the_same_ngrams_with_other_pitches(pieces):
    for score in pieces:
        before, after = ngrams(score), ngrams(edit.transpose(score, -3))
        assert np.array_equal(before.hash, after.hash)
        assert np.array_equal(before.place, after.place)
        assert np.array_equal(before.pitch - 3, after.pitch)


def test_a_faster_piece_keeps_most_of_its_ngrams(pieces):
    shares = [share_of(ngrams(edit.stretch_time(score, 0.8)), ngrams(score)) for score in pieces]
    assert min(shares) > 0.4
    assert np.mean(shares) > 0.7


def test_an_ngram_says_when_its_first_note_begins_and_which_it_is():
    """A pitch that comes once tells the place of every n-gram that begins with it."""
    score = tune(3, tempos=Tempos.of(tick=[0], us_per_quarter=[1_000_000]))
    found = ngrams(score)
    assert len(found.hash)
    assert (found.place % 500 == 0).all()
    assert np.array_equal(score.notes.pitch[found.place // 500], found.pitch)


def test_the_ngrams_of_a_melody_are_among_those_of_the_piece_it_is_from():
    melody, below = tune(1), tune(2, start=45).notes
    notes = melody.notes
    both = Score.of(
        np.append(notes.onset_tick, below.onset_tick),
        np.append(notes.duration_tick, below.duration_tick),
        # the melody is the lower of the two: only a line of its own track can show it
        np.append(notes.pitch - 24, below.pitch + 24),
        track=np.repeat([0, 1], 300),
    )
    alone = edit.select_tracks(both, [0])
    assert share_of(ngrams(alone), ngrams(both)) > 0.2
    assert share_of(ngrams(alone), ngrams(edit.select_tracks(both, [1]))) < 0.02


def test_scales_tremolos_and_repeated_patterns_have_no_ngrams():
    up = list(range(36, 96))
    patterns = [60, 64] * 40, [48, 55, 52, 55] * 20, [60] * 80, [48, 52, 55] * 30, up, up[::-1]
    for pitch in patterns:
        score = Score.of(np.arange(len(pitch)) * 480, [240] * len(pitch), pitch)
        assert len(ngrams(score).hash) == 0


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_piece_too_short_for_an_ngram_has_none(count):
    assert [len(column) for column in ngrams(tune(1, count))] == [0, 0, 0]
    assert [len(column) for column in ngrams(beat(1, count))] == [0, 0, 0]


def test_drums_are_told_by_their_strokes_and_not_transposed():
    score = beat(1)
    found = ngrams(score)
    assert len(found.hash) > 50
    assert set(found.pitch.tolist()) == {0}
    assert np.array_equal(found.hash, ngrams(edit.stretch_time(score, 1.2)).hash)
    assert share_of(found, ngrams(beat(2))) < 0.05


def test_drums_do_not_count_where_there_is_music():
    notes = tune(1, 200).notes
    drums = beat(1).notes
    columns = [
        np.append(getattr(notes, name), getattr(drums, name)) for name in ("onset_tick", "duration_tick", "pitch")
    ]
    both = Score.of(*columns, track=np.repeat([0, 1], 200), tracks=(Track(0), DRUM_KIT))
    assert np.array_equal(ngrams(both).hash, ngrams(tune(1, 200)).hash)


def test_a_note_after_the_last_millisecond_that_a_place_can_hold_is_at_that_millisecond():
    late = tune(1, 40, tempos=Tempos.of(tick=[0], us_per_quarter=[16_000_000]), ppq=1)
    late = Score.of(late.notes.onset_tick * 1000, late.notes.duration_tick, late.notes.pitch, ppq=1, tempos=late.tempos)
    assert ngrams(late).place.max() == 2**31 - 1


def test_hashes_stay_what_they_are_because_corpora_hold_them():
    onset = np.arange(60) * 480
    found = ngrams(Score.of(onset, [240] * 60, 60 + np.arange(60) ** 2 % 23))
    drums = ngrams(Score.of(onset, [240] * 60, 35 + np.arange(60) ** 2 % 23, tracks=[DRUM_KIT]))
    assert [f"{value:016x}" for value in found.hash[:2].tolist() + drums.hash[:2].tolist()] == PINNED
