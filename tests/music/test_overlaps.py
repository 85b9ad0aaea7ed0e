"""A key struck again: what it does to notes that the pedal, or a finger, still holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.music.check import check_score
from etude.music.columns import MAX_TICK, Controls
from etude.music.edit import extend_by_pedal
from etude.music.overlaps import cut_overlaps, next_strike_tick
from etude.music.score import Score

rows_of_notes = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 20), st.integers(60, 62), st.integers(0, 1)), max_size=30
)


def played(onset_sec, end_sec, pitch, *, pedal_sec=()):
    """A piece of 1,000 ticks a second; the pedal goes down and up in turn."""
    onset, end, pedal = (np.rint(np.array(sec, float) * 1000).astype(int) for sec in (onset_sec, end_sec, pedal_sec))
    values = [127 * (k % 2 == 0) for k in range(len(pedal))]
    controls = Controls.of(tick=pedal, track=[0] * len(pedal), number=[64] * len(pedal), value=values)
    return Score.of(onset, end - onset, pitch, ppq=500, controls=controls)


def score_of(rows):
    onset, duration, pitch, track = zip(*rows, strict=True) if rows else ([], [], [], [])
    return Score.of(onset, duration, pitch, track=track)


def test_a_note_that_ends_under_the_pedal_ends_when_the_pedal_comes_up():
    """covers: AP-4"""
    assert extend_by_pedal(played([0], [1], [60], pedal_sec=[0.5, 3])).offset_sec.tolist() == [3.0]


def test_a_key_struck_again_under_the_pedal_ends_the_first_note():
    """covers: AP-4"""
    score = extend_by_pedal(played([0, 2], [1, 2.5], [60, 60], pedal_sec=[0.5, 3]))
    assert score.offset_sec.tolist() == [2.0, 3.0]


def test_another_key_struck_under_the_pedal_ends_nothing():
    score = extend_by_pedal(played([0, 2], [1, 2.5], [60, 61], pedal_sec=[0.5, 3]))
    assert score.offset_sec.tolist() == [3.0, 3.0]


def test_a_note_that_begins_under_the_pedal_and_ends_after_it_ends_by_itself():
    assert extend_by_pedal(played([0.6], [3.5], [60], pedal_sec=[0.5, 3])).offset_sec.tolist() == [3.5]


def test_a_note_struck_before_the_pedal_and_released_before_it_ends_by_itself():
    assert extend_by_pedal(played([0], [0.4], [60], pedal_sec=[0.5, 3])).offset_sec.tolist() == [0.4]


def test_a_pedal_that_never_comes_up_holds_to_the_last_end_not_to_the_end_of_the_last_note_to_begin():
    score = extend_by_pedal(played([0, 1, 2], [6, 1.5, 2.5], [60, 62, 64], pedal_sec=[0.5]))
    assert score.offset_sec.tolist() == [6.0, 6.0, 6.0]


def test_notes_of_one_key_struck_together_are_held_alike():
    score = extend_by_pedal(played([0, 0, 2], [1, 0.8, 2.5], [60, 60, 60], pedal_sec=[0.5, 3]))
    assert score.offset_sec.tolist() == [2.0, 2.0, 3.0]


def test_a_finger_that_holds_a_key_while_it_is_struck_again_lets_go_there():
    score = cut_overlaps(played([0, 2], [3, 4], [60, 60]))
    assert score.offset_sec.tolist() == [2.0, 4.0]


def test_of_notes_struck_together_the_longest_stays_and_none_is_left_without_length():
    score = cut_overlaps(played([0, 0, 0], [1, 3, 2], [60, 60, 62]))
    assert sorted(zip(score.notes.pitch.tolist(), score.offset_sec.tolist(), strict=True)) == [(60, 3.0), (62, 2.0)]


@given(rows_of_notes)
def test_the_next_strike_is_the_one_that_a_plain_loop_finds(rows):
    notes = score_of(rows).notes
    strikes = list(zip(notes.onset_tick.tolist(), notes.pitch.tolist(), notes.track.tolist(), strict=True))
    expected = [
        min((t for t, p, k in strikes if (p, k) == (pitch, track) and t > onset), default=MAX_TICK)
        for onset, pitch, track in strikes
    ]
    assert next_strike_tick(notes).tolist() == expected


@given(rows_of_notes)
def test_without_overlaps_every_key_sounds_once_at_a_time(rows):
    score = score_of(rows)
    cut = cut_overlaps(score)
    assert check_score(cut) == []
    notes, before = cut.notes, score.notes
    assert ((notes.onset_tick + notes.duration_tick) <= next_strike_tick(notes)).all()
    struck = {(t, p, k) for t, _, p, k in rows}
    assert len(notes) == len(struck)
    assert cut_overlaps(cut) == cut
    assert len(before) == len(rows)


@pytest.mark.parametrize("edit", [cut_overlaps, extend_by_pedal])
def test_a_piece_without_notes_stays_without(edit):
    assert len(edit(Score.of()).notes) == 0
