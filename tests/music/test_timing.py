"""One way from ticks to seconds and back, and to bars and beats."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from midi_making import table

from etude.music.midi import midi_bytes, read_midi
from etude.music.score import Score, Tempos, TimeSignatures
from etude.music.timing import BarMap, TempoMap, bar_starts

ticks = st.lists(st.integers(0, 100_000), max_size=20)
tempos = st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 0xFFFFFF)), max_size=8)
signatures = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(1, 17), st.sampled_from([1, 2, 4, 8, 16])), max_size=5
)


def plain_seconds(rows, ppq, tick):
    """Seconds at a tick, one tick after the other's tempo."""
    at, now, us_per_quarter = 0.0, 0, 500_000
    for change, value in sorted(rows, key=lambda row: row[0]):
        if change > tick:
            break
        at += (change - now) * us_per_quarter / ppq / 1e6
        now, us_per_quarter = change, value
    return at + (tick - now) * us_per_quarter / ppq / 1e6


@given(tempos, ticks, st.sampled_from([1, 96, 480]))
def test_seconds_are_the_sum_over_the_tempos_before(rows, at, ppq):
    expected = [plain_seconds(rows, ppq, tick) for tick in at]
    np.testing.assert_allclose(
        TempoMap(table(Tempos, rows), ppq).tick_to_sec(np.array(at, np.int32)), expected, rtol=1e-12
    )


@given(tempos, ticks)
def test_ticks_come_back_from_seconds(rows, at):
    tempo_map = TempoMap(table(Tempos, rows), 480)
    np.testing.assert_array_equal(tempo_map.sec_to_tick(tempo_map.tick_to_sec(np.array(at, np.int64))), at)


def test_of_two_tempos_at_one_tick_the_last_one_holds():
    both = Tempos.of(tick=[0, 0], us_per_quarter=[1_000_000, 250_000])
    assert TempoMap(both, 480).tick_to_sec([480]).tolist() == [0.25]


def test_without_a_tempo_a_piece_runs_at_120():
    assert TempoMap(Tempos.of(tick=[], us_per_quarter=[]), 96).tick_to_sec([96]).tolist() == [0.5]
    late = Tempos.of(tick=[960], us_per_quarter=[250_000])
    assert TempoMap(late, 480).tick_to_sec([960, 1440]).tolist() == [1.0, 1.25]


def test_ten_thousand_tempos_are_one_sum():
    """covers: AP-3 (partly)"""
    count = 10_000
    many = Tempos.of(tick=np.arange(count) * 10, us_per_quarter=np.arange(count) + 400_000)
    expected = np.concatenate([[0], np.cumsum((np.arange(count) + 400_000) * 10 / 480e6)])
    np.testing.assert_allclose(TempoMap(many, 480).tick_to_sec(np.arange(count + 1) * 10), expected, rtol=1e-12)


def plain_bars(rows, ppq, last):
    """Where bars begin, each counted from the one before."""
    rows = {0: (4, 4)} | {tick: tuple(rest) for tick, *rest in sorted(rows, key=lambda row: row[0])}
    starts, now, length = [], 0, 0
    while now < last:
        starts.append(now)
        length = max(
            max((tick, rows[tick]) for tick in rows if tick <= now)[1][0] * 4 * ppq // rows_at(rows, now)[1], 1
        )
        changes = [tick for tick in rows if now < tick <= now + length]
        now = min([now + length, *changes])
    return starts


def rows_at(rows, now):
    return rows[max(tick for tick in rows if tick <= now)]


@given(signatures)
def test_bars_follow_the_signatures_and_a_change_begins_a_new_bar(rows):
    rows = list({row[0]: row for row in rows}.values())
    bars = BarMap(table(TimeSignatures, rows), 480)
    expected = plain_bars(rows, 480, 20_000)
    assert bars.bar_starts(20_000).tolist() == expected
    np.testing.assert_array_equal(bars.tick_to_bar(expected), np.arange(len(expected)))
    np.testing.assert_array_equal(bars.tick_to_bar(np.array(expected[1:], np.int64) - 1), np.arange(len(expected) - 1))
    np.testing.assert_array_equal(bars.bar_to_tick(np.arange(len(expected))), expected)


def test_beats_are_notes_of_the_denominator():
    bars = BarMap(TimeSignatures.of(tick=[0], numerator=[6], denominator=[8]), 480)
    bar, beat = bars.tick_to_beat([0, 240, 1200, 1440, 1560])
    assert bar.tolist() == [0, 0, 0, 1, 1]
    assert beat.tolist() == [0, 1, 5, 0, 0.5]


def test_a_change_in_the_middle_of_a_bar_cuts_it_short():
    bars = BarMap(TimeSignatures.of(tick=[0, 960], numerator=[4, 3], denominator=[4, 4]), 480)
    assert bars.bar_starts(4000).tolist() == [0, 960, 2400, 3840]


@pytest.mark.parametrize(("numerator", "denominator"), [(0, 4), (4, 128), (1, 1 << 20)])
def test_odd_signatures_do_not_stop_the_clock(numerator, denominator):
    odd = TimeSignatures.of(tick=[0], numerator=[numerator], denominator=[denominator])
    starts = BarMap(odd, 1).bar_starts(10)
    assert (np.diff(starts) >= 1).all()


def test_the_bars_of_a_score_reach_to_its_last_note():
    score = Score.of([0, 1900], [10, 40], [60, 62])
    assert bar_starts(score).tolist() == [0, 1920]
    assert bar_starts(Score(480)).tolist() == [0]


def test_ten_thousand_tempos_are_read_at_once_and_hold_to_a_millisecond():
    """covers: AP-3"""
    tick = np.arange(10_000) * 7
    us_per_quarter = 300_000 + np.arange(10_000) * 7919 % 700_000
    score = Score.of(
        tick, [3] * len(tick), [60] * len(tick), ppq=96, tempos=Tempos.of(tick=tick, us_per_quarter=us_per_quarter)
    )
    began = time.monotonic()
    onset_sec = read_midi(midi_bytes(score)).onset_sec
    # 5 s are allowed; it takes a few hundredths
    assert time.monotonic() - began < 5
    by_hand = np.append(0, np.cumsum(us_per_quarter[:-1] * 7 / 96 / 1e6))
    assert np.abs(onset_sec - by_hand).max() < 1e-3
