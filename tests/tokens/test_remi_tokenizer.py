"""The remi tokenizer's encoding: its ids, its bounds, its forms, bars and tempos."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from plain_remi import LENGTHS, plain_words, remi_scores
from token_scores import pedals

from etude.errors import TokenError
from etude.music.edit import transpose
from etude.music.midi import midi_bytes, read_midi
from etude.music.score import Score, Tempos, TimeSignatures, Track
from etude.tokens import build_tokenizer

FORMS = ("remigen2", "remigen", "reduced")


@pytest.fixture(scope="module", params=FORMS)
def tokenizer(request):
    return build_tokenizer("remi", form=request.param)


@pytest.fixture(scope="module")
def remi():
    return build_tokenizer("remi")


def words(score, **settings):
    """Return the names of a score's ids, in one line."""
    tokenizer = build_tokenizer("remi", **settings)
    return " ".join(tokenizer.vocab.words(tokenizer.encode(score)))


def three_notes(**tables):
    """Return C4 and E4, a quarter long, then G4 for half a quarter, from one and a half on."""
    return Score.of([0, 0, 720], [480, 480, 240], [60, 64, 67], [80, 80, 83], ppq=480, **tables)


def metres(*rows):
    """Return time signatures from (tick, numerator, denominator)."""
    tick, upper, lower = zip(*rows, strict=True)
    return TimeSignatures.of(tick=tick, numerator=upper, denominator=lower)


def test_three_notes_have_the_ids_of_the_published_encoding():
    """covers: MT-18"""
    score = three_notes(time_signatures=metres((0, 4, 4)), tempos=Tempos.of(tick=[0], us_per_quarter=[500_000]))
    published = "s-9 t-35 o-0 i-0 p-64 d-12 v-20 p-60 d-12 v-20 o-18 i-0 p-67 d-6 v-20 b-1"
    assert words(score) == words(three_notes()) == published
    ids = build_tokenizer("remi").encode(score).tolist()
    assert ids == [688, 968, 6, 134, 327, 531, 667, 323, 531, 667, 24, 134, 330, 525, 667, 5]
    assert words(read_midi(midi_bytes(score))) == published


def test_the_other_forms_write_the_tempo_at_every_position_or_much_less():
    """covers: MT-18 (partly)"""
    assert words(three_notes(), form="remigen") == (
        "s-9 o-0 t-35 i-0 p-64 d-12 v-20 p-60 d-12 v-20 o-18 t-35 i-0 p-67 d-6 v-20 b-1"
    )
    assert words(three_notes(), form="reduced") == "o-0 i-0 p-64 d-12 i-0 p-60 d-12 o-18 i-0 p-67 d-6 b-1"


@settings(max_examples=150)
@given(score=remi_scores())
def test_columns_and_plain_loops_agree(score):
    """covers: MT-18"""
    for form in FORMS:
        assert words(score, form=form).split() == plain_words(score, form)


@settings(max_examples=100)
@given(score=remi_scores())
def test_what_was_decoded_encodes_to_the_same_ids_and_is_kept_by_midi(score):
    """covers: MT-18"""
    for form in FORMS:
        for key in (False, True):
            tokenizer = build_tokenizer("remi", form=form, normalise_key=key)
            ids = tokenizer.encode(score)
            decoded = tokenizer.decode(ids)
            assert tokenizer.encode(decoded).tolist() == ids.tolist()
            assert tokenizer.encode(read_midi(midi_bytes(decoded))).tolist() == ids.tolist()
            assert set(tokenizer.repairs(ids).values()) == {0}
            assert tokenizer.measure(ids) == (len(decoded.notes), pytest.approx(decoded.duration_sec))


@settings(max_examples=100)
@given(score=remi_scores(with_drums=False))
def test_times_and_velocities_stay_within_their_bounds(score):
    tokenizer = build_tokenizer("remi")
    # each program once, so that notes can be told apart by their pitch and program
    single = replace(score, notes=score.notes.take(np.unique(score.notes.pitch, return_index=True)[1]))
    single = replace(single, notes=single.notes.in_order())
    decoded = tokenizer.decode(tokenizer.encode(single))
    by_pitch, before = np.argsort(decoded.notes.pitch), np.argsort(single.notes.pitch)
    onset = decoded.notes.onset_tick[by_pitch] / decoded.ppq
    end = onset + decoded.notes.duration_tick[by_pitch] / decoded.ppq
    expected = single.notes.onset_tick[before] / single.ppq
    duration = single.notes.duration_tick[before] / single.ppq
    assert np.abs(onset - expected).max() <= 1 / 24 + 1e-9
    rounded = np.maximum(duration + 1 / 12, 1 / 12)
    assert (end - onset <= rounded + 1e-9).all()
    assert (end - onset >= (duration - 1 / 12) * 12 / 13 - 1e-9).all()
    error = decoded.notes.velocity[by_pitch] - single.notes.velocity[before]
    assert np.abs(error).max() <= 2
    assert decoded.notes.pitch[by_pitch].tolist() == single.notes.pitch[before].tolist()


def test_real_music_of_many_kinds_comes_back(tokenizer, shared_data):
    """covers: MT-18 (partly)"""
    files = sorted((shared_data / "mini").rglob("*.mid"))[::4]
    assert len(files) > 3
    for file in files:
        score = read_midi(file)
        ids = tokenizer.encode(score)
        decoded = tokenizer.decode(ids)
        assert len(decoded.notes) == len(score.notes)
        assert tokenizer.encode(decoded).tolist() == ids.tolist()
        assert tokenizer.grammar.accepts([*ids, tokenizer.end_id])


def test_tracks_of_one_instrument_are_merged_and_drums_are_instrument_128(remi):
    tracks = [Track(5), Track(0), Track(9, is_drum=True), Track(5)]
    score = Score.of([0] * 4, [480] * 4, [60, 62, 36, 64], [64] * 4, [0, 1, 2, 3], tracks=tracks)
    assert words(score) == "s-9 t-35 o-0 i-0 p-62 d-12 v-16 i-5 p-64 d-12 v-16 p-60 d-12 v-16 i-128 p-164 d-12 v-16 b-1"
    assert remi.decode(remi.encode(score)).tracks == (Track(0), Track(5), Track(0, is_drum=True))


def test_equal_notes_are_all_kept(remi):
    score = Score.of([0, 0, 0], [480, 480, 240], [60, 60, 60], [80, 80, 80])
    assert words(score) == "s-9 t-35 o-0 i-0 p-60 d-12 v-20 p-60 d-12 v-20 p-60 d-6 v-20 b-1"
    assert len(remi.decode(remi.encode(score)).notes) == 3


def test_positions_are_rounded_to_the_nearest_and_halves_to_the_even_one():
    # 40 ticks a position
    onset = [19, 20, 21, 59, 60, 61, 100]
    score = Score.of(onset, [40] * 7, [60 + n for n in range(7)])
    found = [word for word in words(score).split() if word[0] == "o"]
    assert found == ["o-0", "o-1", "o-2"]
    decoded = build_tokenizer("remi").decode(build_tokenizer("remi").encode(score))
    assert decoded.notes.onset_tick.tolist() == [0, 0, 40, 40, 80, 80, 80]


@pytest.mark.parametrize(
    ("positions", "number"),
    [(0, 1), (1, 1), (11, 11), (12, 12), (13, 12), (14, 13), (35, 23), (36, 24), (83, 35), (84, 36), (10**5, 95)],
)
def test_a_duration_becomes_the_next_shorter_length(remi, positions, number):
    """covers: MT-18 (partly)"""
    score = Score.of([0], [40 * positions], [60])
    assert f" d-{number} " in words(score)
    assert remi.decode(remi.encode(score)).notes.duration_tick.tolist() == [40 * LENGTHS[number]]


def test_all_254_metres_have_the_published_ids_and_come_back(remi):
    """covers: MT-18"""
    known = {(1, 4): 6, (2, 4): 7, (3, 4): 8, (4, 4): 9, (5, 4): 10, (3, 8): 16, (6, 8): 19, (7, 8): 20, (12, 8): 25}
    number = 0
    for lower in (1, 2, 4, 8, 16, 32, 64):
        for upper in range(1, 2 * lower + 1):
            # a note in the third bar, which is 3 or more ticks of a bar away whatever the metre
            bar = 4 * 960 * upper // lower
            score = Score.of([2 * bar], [960], [60], ppq=960, time_signatures=metres((0, upper, lower)))
            empty = f"s-{number} t-35 b-1"
            assert words(score) == f"{empty} {empty} s-{number} t-35 o-0 i-0 p-60 d-12 v-16 b-1"
            found = remi.decode(remi.encode(score)).time_signatures
            assert (found.numerator.tolist(), found.denominator.tolist()) == ([upper], [lower])
            assert known.get((upper, lower), number) == number
            number += 1
    assert number == 254


@pytest.mark.parametrize(
    ("written", "counted"),
    [((12, 4), (6, 4)), ((9, 4), (3, 4)), ((11, 4), (1, 4)), ((4, 1), (2, 1)), ((5, 128), (3, 64))],
)
def test_a_metre_that_is_too_long_or_too_fine_is_counted_in_parts(remi, written, counted):
    score = Score.of([0], [480], [60], time_signatures=metres((0, *written)))
    found = remi.decode(remi.encode(score)).time_signatures
    assert (int(found.numerator[0]), int(found.denominator[0])) == counted


def test_a_metre_that_changes_inside_a_bar_holds_from_the_next_bar_line_and_times_stay(remi):
    score = Score.of(
        [0, 960, 1920, 3360], [480] * 4, [60, 62, 64, 65], time_signatures=metres((0, 4, 4), (960, 3, 4), (1922, 6, 8))
    )
    assert words(score).replace("v-16 ", "").replace("d-12 ", "").replace("t-35 ", "").replace("i-0 ", "") == (
        "s-9 o-0 p-60 o-24 p-62 b-1 s-19 o-0 p-64 b-1 s-19 o-0 p-65 b-1"
    )
    assert remi.decode(remi.encode(score)).notes.onset_tick.tolist() == [0, 960, 1920, 3360]


def test_tempo_is_that_of_the_bar_line_or_of_the_position(remi):
    tempos = Tempos.of(tick=[0, 960, 1919], us_per_quarter=[1_000_000, 500_000, 250_000])
    score = Score.of([0, 960, 1920], [480] * 3, [60] * 3, tempos=tempos)
    assert [word for word in words(score).split() if word[0] == "t"] == ["t-23", "t-47"]
    assert [word for word in words(score, form="remigen").split() if word[0] == "t"] == ["t-23", "t-35", "t-47"]
    remigen = build_tokenizer("remi", form="remigen")
    found = remigen.decode(remigen.encode(score)).tempos
    assert found.tick.tolist() == [0, 960, 1920]
    assert found.us_per_quarter.tolist() == pytest.approx([1_000_000, 500_000, 250_000], rel=2 ** (1 / 24) - 1)


@pytest.mark.parametrize(("tempo_qpm", "number"), [(3.6, 0), (16, 0), (32, 12), (120, 35), (256, 48), (900, 48)])
def test_tempos_are_twelve_to_a_doubling(remi, tempo_qpm, number):
    """covers: MT-18 (partly)"""
    score = three_notes(tempos=Tempos.of(tick=[0], us_per_quarter=[round(60e6 / tempo_qpm)]))
    assert words(score).split()[1] == f"t-{number}"
    found = 60e6 / remi.decode(remi.encode(score)).tempos.us_per_quarter
    assert found == pytest.approx([16 * 2 ** (number / 12)], rel=1e-5)


def test_the_reduced_form_counts_four_quarters_to_a_bar_and_keeps_times():
    tokenizer = build_tokenizer("remi", form="reduced")
    score = Score.of([0, 1440, 2880], [480] * 3, [60] * 3, time_signatures=metres((0, 3, 4)))
    assert words(score, form="reduced") == "o-0 i-0 p-60 d-12 o-36 i-0 p-60 d-12 b-1 o-24 i-0 p-60 d-12 b-1"
    decoded = tokenizer.decode(tokenizer.encode(score))
    assert decoded.notes.onset_tick.tolist() == [0, 1440, 2880]
    assert len(decoded.time_signatures) == 0
    assert {"tempo", "metre", "velocity"} <= set(tokenizer.loses)
    assert not {"tempo", "metre", "velocity"} & set(build_tokenizer("remi").loses)


def test_the_pedal_extends_notes_where_asked():
    score = Score.of([0], [480], [60], controls=pedals((240, 0, 127), (960, 0, 0)))
    assert " d-12 " in words(score)
    assert " d-18 " in words(score, pedal="extend")
    assert "pedal" in build_tokenizer("remi").loses
    assert "pedal" not in build_tokenizer("remi", pedal="extend").loses


def test_drums_stay_when_ids_are_transposed(remi):
    score = Score.of([0, 0], [480, 480], [60, 36], [64, 64], [0, 1], tracks=[Track(0), Track(0, is_drum=True)])
    moved = remi.transpose_ids(remi.encode(score), 5)
    assert moved.tolist() == remi.encode(transpose(score, 5)).tolist()
    assert remi.transpose_ids(remi.encode(score), 68) is None
    assert remi.transpose_ids(remi.encode(score), 67) is not None


def test_a_piece_that_is_too_long_or_no_midi_is_refused_in_one_line(remi):
    for score, message in (
        (Score.of([0, 1_000_001], [1, 1], [60, 60], ppq=1), "1,000,001 quarter notes long, expected at most 1,000,000"),
        (Score.of([0], [1], [128]), "outside MIDI"),
        (Score.of([-1], [1], [60]), "outside MIDI"),
        (Score.of([0], [1], [60], tracks=[Track(200)]), "program outside"),
    ):
        with pytest.raises(TokenError, match=message):
            remi.encode(score)
