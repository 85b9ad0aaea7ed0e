"""Edits: what each keeps and what each changes, on any Score that hypothesis can think of."""

from math import lcm

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from etude.music.check import MAX_TICK, check_score
from etude.music.edit import (
    extend_by_pedal,
    first_notes,
    merge,
    resample,
    scale_velocity,
    select_tracks,
    stretch_time,
    transpose,
    trim,
)
from etude.music.score import (
    WHOLE_PIECE,
    Controls,
    KeySignatures,
    PitchBends,
    Score,
    Tempos,
    Texts,
    TimeSignatures,
    Track,
)

TICK = st.integers(0, 5000)
TRACK = st.integers(0, 2)


def rows(*columns, max_size=6):
    """Return the columns of a few rows, each row drawn from strategies."""
    drawn = st.lists(st.tuples(*columns), max_size=max_size)
    return drawn.map(lambda some: list(zip(*some, strict=True)) or [()] * len(columns))


@st.composite
def scores(draw, max_notes=30):
    onset, duration, pitch, velocity, track = draw(
        rows(TICK, st.integers(0, 1500), st.integers(0, 127), st.integers(1, 127), TRACK, max_size=max_notes)
    )
    tempos = draw(rows(TICK, st.integers(1000, 2_000_000), max_size=4))
    signatures = draw(rows(TICK, st.integers(1, 12), st.sampled_from([2, 4, 8]), max_size=3))
    keys = draw(rows(TICK, st.integers(-7, 7), st.integers(0, 1), max_size=3))
    controls = draw(rows(TICK, TRACK, st.sampled_from([7, 64, 64, 64, 101]), st.sampled_from([0, 63, 64, 127])))
    bends = draw(rows(TICK, TRACK, st.integers(-8192, 8191)))
    texts = draw(rows(TICK, st.sampled_from(["lyric", "marker"]), st.text(max_size=3), st.integers(-1, 2)))
    return Score.of(
        onset,
        duration,
        pitch,
        velocity,
        track,
        ppq=draw(st.sampled_from([24, 96, 384, 480, 1000])),
        tracks=[Track(0), Track(41, name="viola"), Track(0, is_drum=draw(st.booleans()))],
        tempos=Tempos.of(tick=tempos[0], us_per_quarter=tempos[1]),
        time_signatures=TimeSignatures.of(tick=signatures[0], numerator=signatures[1], denominator=signatures[2]),
        key_signatures=KeySignatures.of(tick=keys[0], sharps=keys[1], is_minor=keys[2]),
        controls=Controls.of(tick=controls[0], track=controls[1], number=controls[2], value=controls[3]),
        pitch_bends=PitchBends.of(tick=bends[0], track=bends[1], value=bends[2]),
        texts=Texts.of(tick=texts[0], kind=texts[1], text=texts[2], track=texts[3]),
    )


def pedal(*movements):
    """Return sustain pedal movements of track 0 from (tick, value)."""
    tick, value = zip(*movements, strict=True)
    return Controls.of(tick=tick, track=[0] * len(tick), number=[64] * len(tick), value=value)


def value_at(score, track, number, tick):
    """Return the value that a controller has at a tick, or None before its first."""
    controls = score.controls
    is_it = (controls.track == track) & (controls.number == number) & (controls.tick <= tick)
    return int(controls.value[is_it][-1]) if is_it.any() else None


# transpose


@given(scores(), st.integers(-30, 30))
def test_transposing_and_back_gives_the_notes_again_and_leaves_drums(score, semitones):
    is_drum = np.array([track.is_drum for track in score.tracks])[score.notes.track]
    melodic = score.notes.pitch[~is_drum]
    assume(not len(melodic) or (melodic.min() + semitones >= 0 and melodic.max() + semitones <= 127))
    moved = transpose(score, semitones)
    assert check_score(moved) == []
    assert np.array_equal(moved.notes.pitch[is_drum], score.notes.pitch[is_drum])
    assert np.array_equal(moved.notes.pitch[~is_drum], melodic + semitones)
    assert transpose(moved, -semitones).notes == score.notes
    # a key's tonic, counted in fifths, moves as the notes do
    was, now = score.key_signatures, moved.key_signatures
    assert np.array_equal((now.sharps * 7 - was.sharps * 7 - semitones) % 12, np.zeros(len(was)))


def test_transposing_out_of_range_is_refused_and_drops_nothing():
    with pytest.raises(ValueError, match=r"semitones = 8: pitches would be 68 to 128, expected 0 to 127"):
        transpose(Score.of([0, 480], [1, 1], [60, 120]), 8)


def test_d_major_a_tone_higher_is_e_major():
    keys = KeySignatures.of(tick=[0, 480], sharps=[2, -7], is_minor=[0, 1])
    assert transpose(Score.of(key_signatures=keys), 2).key_signatures.sharps.tolist() == [4, -5]
    assert transpose(Score.of(key_signatures=keys), -12).key_signatures == keys


# time and velocity


@given(scores(), st.floats(0.25, 4.0))
def test_stretching_multiplies_every_time_and_keeps_ticks(score, factor):
    stretched = stretch_time(score, factor)
    assert check_score(stretched) == []
    assert stretched.notes == score.notes
    # a tempo of 1000 µs is rounded to half of one, at a quarter of its size
    np.testing.assert_allclose(stretched.offset_sec, score.offset_sec * factor, rtol=0.5 / 250, atol=1e-12)


def test_stretching_counts_the_time_before_the_first_tempo():
    score = Score.of([0, 960], [480, 480], [60, 60], tempos=Tempos.of(tick=[960], us_per_quarter=[1_000_000]))
    assert stretch_time(score, 0.5).duration_sec == score.duration_sec / 2 == 1.0


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf"), 1e-9, 1e9])
def test_a_stretch_that_no_tempo_can_express_is_refused(factor):
    with pytest.raises(ValueError, match="factor"):
        stretch_time(Score.of([0], [480], [60]), factor)


@given(scores(), st.floats(0.0, 10.0))
def test_scaled_velocities_are_proportional_within_their_range(score, factor):
    scaled = scale_velocity(score, factor)
    assert check_score(scaled) == []
    expected = np.clip(np.rint(score.notes.velocity * factor), 1, 127)
    assert sorted(scaled.notes.velocity.tolist()) == sorted(expected.tolist())


@pytest.mark.parametrize("factor", [-0.5, float("nan"), float("inf")])
def test_a_negative_loudness_is_refused(factor):
    with pytest.raises(ValueError, match="factor"):
        scale_velocity(Score.of([0], [480], [60]), factor)


# trim


@given(scores(), st.floats(0, 20), st.floats(0, 20))
def test_a_trimmed_piece_has_the_notes_that_begin_in_the_span_shifted_and_cut(score, start_sec, length_sec):
    part = trim(score, start_sec, start_sec + length_sec)
    assert check_score(part) == []
    start, end = score.tempo_map.sec_to_tick([start_sec, start_sec + length_sec])
    inside = (score.notes.onset_tick >= start) & (score.notes.onset_tick < end)
    ends = score.notes.onset_tick + score.notes.duration_tick
    expected = zip(
        (score.notes.onset_tick - start)[inside].tolist(),
        (np.minimum(ends, end) - start)[inside].tolist(),
        score.notes.pitch[inside].tolist(),
        strict=True,
    )
    of_part = part.notes.onset_tick + part.notes.duration_tick
    got = zip(part.notes.onset_tick.tolist(), of_part.tolist(), part.notes.pitch.tolist(), strict=True)
    assert sorted(got) == sorted(expected)
    # seconds run on as they did: the tempo in force was carried along
    if inside.any():
        moved = score.tempo_map.tick_to_sec(score.notes.onset_tick[inside]) - score.tempo_map.tick_to_sec(start)
        np.testing.assert_allclose(np.sort(part.onset_sec), np.sort(moved), atol=1e-9)


@given(scores(), st.floats(0, 10), st.floats(0, 10))
def test_what_holds_in_a_span_holds_in_the_trimmed_piece(score, start_sec, length_sec):
    part = trim(score, start_sec, start_sec + length_sec)
    start, end = score.tempo_map.sec_to_tick([start_sec, start_sec + length_sec]).tolist()
    for tick in {start, (start + end) // 2, end}:
        for track in range(3):
            for number in (7, 64, 101):
                assert value_at(part, track, number, tick - start) == value_at(score, track, number, tick)
    assert not len(part.controls) or part.controls.tick.max() <= end - start
    assert not len(part.texts) or part.texts.tick.max() < end - start


@given(scores())
def test_trimming_nothing_away_changes_nothing(score):
    assert trim(score, 0.0, float("inf")) == score


def test_the_pedal_tempo_and_signatures_in_force_are_carried_to_the_start():
    score = Score.of(
        [0, 960, 1920],
        [480, 2000, 480],
        [60, 62, 64],
        tempos=Tempos.of(tick=[0, 480, 1440], us_per_quarter=[500_000, 250_000, 750_000]),
        time_signatures=TimeSignatures.of(tick=[0], numerator=[3], denominator=[4]),
        key_signatures=KeySignatures.of(tick=[0], sharps=[1], is_minor=[0]),
        controls=pedal((0, 127), (100, 90), (1500, 0)),
        pitch_bends=PitchBends.of(tick=[10], track=[0], value=[4096]),
        texts=Texts.of(tick=[0, 960], kind=["lyric"] * 2, text=["a", "b"], track=[WHOLE_PIECE] * 2),
    )
    part = trim(score, 0.75, 1.25)
    assert part.notes.onset_tick.tolist() == [0]
    assert part.tempos == Tempos.of(tick=[0, 480], us_per_quarter=[250_000, 750_000])
    assert part.time_signatures == score.time_signatures
    assert part.key_signatures == score.key_signatures
    assert part.controls == pedal((0, 90), (540, 0))
    assert part.pitch_bends == PitchBends.of(tick=[0], track=[0], value=[4096])
    assert part.texts.text == ("b",)


def test_a_pedal_that_comes_up_at_the_very_end_still_comes_up():
    part = trim(Score.of([0], [480], [60], controls=pedal((0, 127), (480, 0), (500, 127))), 0.0, 0.5)
    assert part.controls == pedal((0, 127), (480, 0))


def test_parameter_numbers_are_carried_with_all_their_data():
    rpn = Controls.of(tick=[0, 0, 0, 5, 5, 5], track=[0] * 6, number=[101, 100, 6] * 2, value=[0, 0, 12, 0, 1, 64])
    part = trim(Score.of([960], [480], [60], controls=rpn), 1.0, 2.0)
    assert part.controls.value.tolist() == rpn.value.tolist()
    assert part.controls.tick.tolist() == [0] * 6


@pytest.mark.parametrize(
    "span", [(-1.0, 2.0), (2.0, 1.0), (float("nan"), 1.0), (0.0, float("nan")), (float("inf"),) * 2]
)
def test_a_span_that_is_none_is_refused(span):
    with pytest.raises(ValueError, match="expected 0 <= start_sec <= end_sec"):
        trim(Score.of([0], [480], [60]), *span)


@given(scores(), st.integers(0, 40))
def test_the_first_notes_are_the_first_rows(score, count):
    part = first_notes(score, count)
    assert check_score(part) == []
    assert part.notes == score.notes.take(slice(0, count))
    np.testing.assert_allclose(part.onset_sec, score.onset_sec[:count])
    if count >= len(score.notes) > 0:
        last = int((score.notes.onset_tick + score.notes.duration_tick).max())
        assert part.controls == score.controls.take(score.controls.tick <= last)


def test_a_negative_number_of_notes_is_refused():
    with pytest.raises(ValueError, match="count = -1"):
        first_notes(Score.of([0], [480], [60]), -1)


# resolution


@given(scores(), st.sampled_from([1, 10, 96, 220, 480, 32767]))
def test_another_resolution_moves_times_by_half_a_tick_and_ends_by_one_and_a_half(score, ppq):
    other = resample(score, ppq)
    assert other.ppq == ppq
    assert check_score(other) == []
    # compare as rationals: quarters times both resolutions
    onset = np.sort(other.notes.onset_tick) * score.ppq - np.sort(score.notes.onset_tick) * ppq
    assert 2 * np.abs(onset).max(initial=0) <= score.ppq
    ends, was = (s.notes.onset_tick.astype(np.int64) + s.notes.duration_tick for s in (other, score))
    assert 2 * np.abs(np.sort(ends) * score.ppq - np.sort(was) * ppq).max(initial=0) <= 3 * score.ppq
    assert (other.notes.duration_tick > 0).sum() == (score.notes.duration_tick > 0).sum()


@given(scores(), st.integers(1, 9))
def test_a_multiple_of_a_resolution_loses_nothing(score, factor):
    finer = resample(score, score.ppq * factor)
    assert resample(finer, score.ppq) == score
    assert finer.content_digest() == score.content_digest()
    np.testing.assert_allclose(finer.offset_sec, score.offset_sec)


def test_a_resolution_that_cannot_be_is_refused():
    for ppq in (0, -1, 32768):
        with pytest.raises(ValueError, match=f"ppq = {ppq}"):
            resample(Score.of([0], [480], [60]), ppq)
    with pytest.raises(ValueError, match="a tick would be"):
        resample(Score.of([MAX_TICK - 1], [1], [60], ppq=1), 2)


# tracks


@given(scores(), st.permutations(range(3)), st.integers(0, 3))
def test_selected_tracks_keep_their_rows_in_the_order_asked_for(score, order, count):
    chosen = order[:count]
    part = select_tracks(score, chosen)
    assert check_score(part) == []
    assert part.tracks == tuple(score.tracks[track] for track in chosen)
    for new, old in enumerate(chosen):
        for name in ("notes", "controls", "pitch_bends", "texts"):
            now, was = getattr(part, name), getattr(score, name)
            assert now.take(now.track == new).replace(track=np.full((now.track == new).sum(), old)) == was.take(
                was.track == old
            )
    assert len(part.notes) == np.isin(score.notes.track, chosen).sum()
    assert (part.texts.track == WHOLE_PIECE).sum() == (score.texts.track == WHOLE_PIECE).sum()
    assert part.tempos == score.tempos


@pytest.mark.parametrize("tracks", [[1], [-1], [0, 0]])
def test_tracks_that_are_not_there_or_twice_are_refused(tracks):
    with pytest.raises(ValueError, match="expected different numbers from 0 to 0"):
        select_tracks(Score.of([0], [480], [60]), tracks)


@given(scores())
def test_merging_one_piece_changes_nothing(score):
    assert merge([score]) == score


@given(scores(max_notes=12), scores(max_notes=12))
def test_merged_pieces_come_apart_again(one, two):
    assume(lcm(one.ppq, two.ppq) <= 32767)
    both = merge([one, two])
    assert check_score(both) == []
    assert both.tempos == resample(one if len(one.tempos) else two, both.ppq).tempos
    for part, tracks in ((one, range(3)), (two, range(3, 6))):
        assert select_tracks(both, tracks).content_digest() == part.content_digest()


def test_merging_aligns_resolutions_and_takes_tempos_from_the_first_that_has_some():
    one = Score.of([480], [480], [60], ppq=480, texts=Texts.of(tick=[0], kind=["marker"], text=["A"], track=[-1]))
    two = Score.of([384], [384], [40], ppq=384, tempos=Tempos.of(tick=[0], us_per_quarter=[400_000]))
    both = merge([one, two])
    assert both.ppq == 1920
    assert both.notes.onset_tick.tolist() == [1920, 1920]
    assert both.notes.track.tolist() == [0, 1]
    assert both.tempos.us_per_quarter.tolist() == [400_000]
    assert both.texts.track.tolist() == [WHOLE_PIECE]


def test_resolutions_with_no_common_multiple_that_midi_holds_become_the_finest():
    both = merge([Score.of([384], [384], [60], ppq=384), Score.of([1001], [1000], [40], ppq=1000)])
    assert both.ppq == 1000
    assert both.notes.onset_tick.tolist() == [1000, 1001]


def test_merging_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        merge([])


# pedal


@given(scores())
def test_extending_by_the_pedal_only_lengthens_and_is_done_once(score):
    dry = extend_by_pedal(score)
    assert check_score(dry) == []
    assert not (dry.controls.number == 64).any()
    assert np.array_equal(dry.notes.onset_tick, score.notes.onset_tick)
    assert dry.notes.duration_tick.sum() >= score.notes.duration_tick.sum()
    assert extend_by_pedal(dry) == dry


@pytest.mark.parametrize(
    ("movements", "durations"),
    [
        ([(0, 127), (960, 0)], [960, 660]),
        ([(0, 63), (960, 0)], [100, 100]),
        ([(0, 64), (50, 0), (350, 127), (960, 0)], [100, 660]),
        ([(0, 127)], [400, 100]),
        ([(0, 127), (200, 63)], [200, 100]),
    ],
)
def test_notes_last_until_the_pedal_comes_up(movements, durations):
    score = Score.of([0, 300], [100, 100], [60, 64], controls=pedal(*movements))
    assert extend_by_pedal(score).notes.duration_tick.tolist() == durations


def test_a_key_struck_again_ends_the_note_that_the_pedal_holds():
    score = Score.of([0, 300], [100, 100], [60, 60], controls=pedal((0, 127), (960, 0)))
    assert extend_by_pedal(score).notes.duration_tick.tolist() == [300, 660]


def test_a_pedal_holds_only_its_own_track():
    score = Score.of([0, 0], [100, 100], [60, 40], track=[0, 1], controls=pedal((0, 127), (960, 0)))
    assert extend_by_pedal(score).notes.duration_tick.tolist() == [960, 100]
