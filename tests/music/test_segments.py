"""Segments are whole bars of a piece, and nothing of it is lost between them."""

import numpy as np
import pytest

from etude.music.check import check_score
from etude.music.columns import Controls, KeySignatures, Tempos, TimeSignatures
from etude.music.score import Score
from etude.music.segments import cut_bars, music_bars, segments


def piece(bars: int, *, first: int = 0) -> Score:
    """Return so many bars of 3/4 at 480 ticks a quarter, four notes each, the pitch telling the bar."""
    bar = first + np.repeat(np.arange(bars), 4)
    return Score.of(
        bar * 1440 + np.tile([0, 300, 700, 1000], bars),
        np.full(4 * bars, 200),
        40 + bar % 60,
        time_signatures=TimeSignatures.of(tick=[0], numerator=[3], denominator=[4]),
        tempos=Tempos.of(tick=[0], us_per_quarter=[700_000]),
    )


@pytest.mark.parametrize("bars", [1, 7, 16, 100])
def test_segments_in_turn_hold_every_note_once(bars):
    """covers: MT-20 (partly)"""
    parts = segments(piece(40, first=3), bars)
    assert [part.first_bar for part in parts] == list(range(3, 43, bars))
    assert all(part.end_bar - part.first_bar == bars for part in parts[:-1])
    assert parts[-1].end_bar == 43
    for part in parts:
        assert check_score(part.score) == []
        back = part.score.notes.onset_tick + part.first_bar * 1440
        assert ((back // 1440 % 60 + 40) == part.score.notes.pitch).all()
    assert sum(len(part.score.notes) for part in parts) == 160


def test_empty_bars_at_both_ends_are_left_out_and_empty_segments_too():
    early, late = piece(2, first=5).notes, piece(3, first=60).notes
    columns = [np.concatenate([getattr(early, name), getattr(late, name)]) for name in early.columns()]
    score = Score.of(*columns, time_signatures=piece(1).time_signatures)
    assert music_bars(score) == (5, 63)
    assert [part[:2] for part in segments(score, 16)] == [(5, 21), (53, 63)]
    assert segments(Score.of(), 16) == []


def test_a_last_note_that_rings_on_keeps_its_bars():
    score = Score.of([0], [5 * 1920], [60], ppq=480)
    assert music_bars(score) == (0, 5)
    assert segments(score, 16)[0].score.notes.duration_tick.tolist() == [5 * 1920]
    assert [len(part.score.notes) for part in segments(score, 2)] == [1]


def test_random_stretches_differ_and_are_a_function_of_seed_and_piece():
    """covers: MT-20 (partly)"""
    score = piece(50)
    drawn = [[part[:2] for part in segments(score, 16, at_random=3, seed=2, index=(name,))] for name in "aab"]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(set(one)) == 3 and all(end - first == 16 for first, end in one) for one in drawn)
    every = segments(score, 16, at_random=99)
    assert [part.first_bar for part in every] == list(range(35))
    assert [part[:2] for part in segments(piece(10), 16, at_random=3)] == [(0, 10)]


def test_what_holds_where_a_segment_begins_is_set_there():
    score = Score.of(
        [0, 1920, 3840],
        [480, 2500, 480],
        [60, 62, 64],
        tempos=Tempos.of(tick=[0, 1000], us_per_quarter=[400_000, 600_000]),
        key_signatures=KeySignatures.of(tick=[0], sharps=[2], is_minor=[0]),
        controls=Controls.of(tick=[500], track=[0], number=[64], value=[127]),
    )
    part = cut_bars(score, 1, 2)
    assert part.tempos == Tempos.of(tick=[0], us_per_quarter=[600_000])
    assert part.key_signatures == KeySignatures.of(tick=[0], sharps=[2], is_minor=[0])
    assert part.controls == Controls.of(tick=[0], track=[0], number=[64], value=[127])
    # a note ends with the last bar, the next bar's note is not there
    assert part.notes.onset_tick.tolist() == [0]
    assert part.notes.duration_tick.tolist() == [1920]


def test_bars_of_changing_metre_are_cut_at_their_lines():
    metres = TimeSignatures.of(tick=[0, 3840], numerator=[4, 3], denominator=[4, 4])
    onsets = [0, 1920, 3840, 5280, 6720]
    score = Score.of(onsets, [10] * 5, [60, 61, 62, 63, 64], time_signatures=metres)
    assert [part.score.notes.pitch.tolist() for part in segments(score, 3)] == [[60, 61, 62], [63, 64]]


@pytest.mark.parametrize("call", [lambda: segments(piece(2), 0), lambda: cut_bars(piece(2), 2, 1)])
def test_impossible_bars_are_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
