"""Moving pieces to C major or A minor: which key a piece is in, how far it moves, and what never moves."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_remi import remi_scores

from etude.music.edit import transpose
from etude.music.score import Score, Track
from etude.tokens import build_tokenizer

MAJOR = [60, 62, 64, 65, 67, 69, 71, 72, 67, 64, 60]


@pytest.fixture(scope="module")
def remi():
    return build_tokenizer("remi", normalise_key=True)


def tune(*pitches, length=480):
    return Score.of(480 * np.arange(len(pitches)), [length] * len(pitches), pitches)


def moved_by(remi, score):
    """Return how many semitones a piece moves, from its lowest pitch."""
    return int(remi.decode(remi.encode(score)).notes.pitch.min() - score.notes.pitch.min())


def test_a_piece_in_c_sharp_major_and_the_same_in_c_have_equal_ids(remi):
    """covers: MT-20 (partly)"""
    score = tune(*MAJOR)
    assert remi.encode(transpose(score, 1)).tolist() == remi.encode(score).tolist()
    assert remi.encode(score).tolist() == build_tokenizer("remi").encode(score).tolist()


@pytest.mark.parametrize("semitones", range(-5, 7))
def test_pieces_in_every_key_within_half_an_octave_have_equal_ids(remi, semitones):
    """covers: MT-20 (partly)"""
    for score in (tune(*MAJOR), tune(57, 60, 64, 69), tune(57, 59, 60, 62, 64, 65, 68, 69)):
        assert remi.encode(transpose(score, semitones)).tolist() == remi.encode(score).tolist()


@pytest.mark.parametrize("octaves", [-1, 1, 2])
def test_a_piece_keeps_its_register(remi, octaves):
    assert moved_by(remi, transpose(tune(*MAJOR), 12 * octaves + 2)) == -2


@settings(max_examples=40)
@given(score=remi_scores(), semitones=st.integers(-5, 6))
def test_transposed_pieces_find_transposed_keys(score, semitones):
    """covers: MT-20 (partly)"""
    remi = build_tokenizer("remi", normalise_key=True)
    home = remi.decode(remi.encode(score))
    assert remi.encode(transpose(home, semitones)).tolist() == remi.encode(home).tolist()


@pytest.mark.parametrize("chord", [(60, 64, 68), (60, 63, 66, 69), range(60, 72), range(60, 72, 2), (60, 66)])
def test_chords_that_fit_several_keys_equally_move_alike_in_each(remi, chord):
    """covers: MT-20 (partly)"""
    together = Score.of([0] * len(chord), [480] * len(chord), chord)
    home = remi.decode(remi.encode(together))
    for semitones in range(-5, 7):
        assert remi.encode(transpose(home, semitones)).tolist() == remi.encode(home).tolist()


def test_a_minor_triad_alone_is_minor_and_a_major_one_major(remi):
    """covers: MT-20 (partly)"""
    assert moved_by(remi, tune(57, 60, 64)) == moved_by(remi, tune(60, 64, 67)) == 0
    assert (moved_by(remi, tune(62, 65, 69)), moved_by(remi, tune(62, 66, 69))) == (-5, -2)


def test_long_notes_count_more_than_short_ones(remi):
    brief = [66, 70, 73, 75, 77, 78, 80, 82, 85]
    onset = [0, 0, 0, *(4000 + 40 * np.arange(len(brief)))]
    score = Score.of(onset, [3840] * 3 + [40] * len(brief), [60, 64, 67, *brief])
    assert moved_by(remi, score) == 0


def test_drums_stay_and_do_not_count(remi):
    tracks = [Track(0), Track(0, is_drum=True)]
    pitch, track = [62, 66, 69, 74, 37, 42, 44], [0, 0, 0, 0, 1, 1, 1]
    score = Score.of([0] * 7, [480] * 7, pitch, None, track, tracks=tracks)
    decoded = remi.decode(remi.encode(score))
    assert sorted(decoded.notes.pitch[decoded.notes.track == 0].tolist()) == [60, 64, 67, 72]
    assert sorted(decoded.notes.pitch[decoded.notes.track == 1].tolist()) == [37, 42, 44]
    alone = replace(score, notes=score.notes.take(score.notes.track == 1))
    assert remi.encode(alone).tolist() == build_tokenizer("remi").encode(alone).tolist()


def test_a_piece_at_the_edge_of_the_keyboard_moves_by_an_octave_and_one_that_fills_it_stays(remi):
    assert moved_by(remi, transpose(tune(*MAJOR, 59), -59)) == -1 + 12
    assert moved_by(remi, transpose(tune(*MAJOR), 55)) == 5 - 12
    whole = tune(1, 0, 127, *(pitch + 1 for pitch in MAJOR))
    assert moved_by(remi, whole) == 0
