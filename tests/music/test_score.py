"""A Score is a value: fixed, in order, equal by content."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from midi_making import scores

from etude.music.edit import resample
from etude.music.score import Controls, Notes, Score, Tempos, Texts, Track


def test_columns_are_int32_and_cannot_be_written_to():
    score = Score.of([0, 10], [5, 5], [60, 62])
    for column in score.notes.columns().values():
        assert column.dtype == np.int32
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        score.ppq = 96


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 5), max_size=20), st.randoms())
def test_notes_come_in_one_order_whatever_the_order_they_are_given_in(rows, random):
    names = ["onset_tick", "track", "pitch", "duration_tick", "velocity"]
    shuffled = random.sample(rows, len(rows))
    notes = Notes.of(**{name: [row[place] for row in shuffled] for place, name in enumerate(names)})
    assert list(zip(*(getattr(notes, name).tolist() for name in names), strict=True)) == sorted(rows)


def test_rows_of_one_tick_keep_their_order_where_it_has_a_meaning():
    controls = Controls.of(tick=[5, 5, 0], track=[0, 0, 1], number=[101, 6, 7], value=[1, 2, 3])
    assert controls.number.tolist() == [7, 101, 6]
    texts = Texts.of(tick=[5, 0, 5], kind=["lyric"] * 3, text=["b", "a", "c"], track=[0, 0, 0])
    assert texts.text == ("a", "b", "c")


@pytest.mark.parametrize(
    "column", [[1.5], [2**31], [[1, 2]], ["a"], [float("nan")]], ids=["half", "large", "table", "text", "nan"]
)
def test_what_is_no_column_of_whole_numbers_is_refused(column):
    with pytest.raises(ValueError):  # noqa: PT011  numpy words some of these
        Tempos.of(tick=column, us_per_quarter=[1])


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="unequal length"):
        Tempos.of(tick=[0, 1], us_per_quarter=[500_000])


@given(scores())
def test_scores_of_equal_content_are_equal(score):
    rebuilt = Score(**{name: getattr(score, name) for name in score.__dataclass_fields__})
    assert rebuilt == score
    assert rebuilt != dataclasses.replace(score, ppq=score.ppq + 1)
    assert rebuilt != dataclasses.replace(score, tracks=(*score.tracks, Track(0)))


@given(scores(), st.integers(1, 9))
def test_the_content_digest_survives_another_resolution(score, times):
    if score.ppq * times <= 32_767:
        assert resample(score, score.ppq * times).content_digest() == score.content_digest()


def test_the_content_digest_tells_music_apart_and_nothing_else():
    score = Score.of([0, 480], [480, 480], [60, 64])
    digest = score.content_digest()
    assert digest == dataclasses.replace(score, tempos=Tempos.of(tick=[0], us_per_quarter=[1])).content_digest()
    assert digest == dataclasses.replace(score, tracks=(Track(0, name="piano"),)).content_digest()
    for other in (
        Score.of([0, 481], [480, 480], [60, 64]),
        Score.of([0, 480], [480, 481], [60, 64]),
        Score.of([0, 480], [480, 480], [60, 65]),
        Score.of([0, 480], [480, 480], [60, 64], [64, 65]),
        Score.of([0, 480], [480, 480], [60, 64], tracks=[Track(1)]),
        Score.of([0, 480], [480, 480], [60, 64], tracks=[Track(0, True)]),
        Score.of([0, 480], [480, 480], [60, 64], ppq=96),
        Score.of(),
    ):
        assert other.content_digest() != digest


def test_seconds_follow_the_tempo_map_in_note_order():
    score = Score.of([960, 0], [480, 960], [62, 60], tempos=Tempos.of(tick=[0, 960], us_per_quarter=[500_000, 250_000]))
    assert score.onset_sec.tolist() == [0.0, 1.0]
    assert score.offset_sec.tolist() == [1.0, 1.25]
    assert score.duration_sec == 1.25
    assert Score(480).duration_sec == 0.0


def test_a_score_says_in_one_line_what_it_holds():
    assert repr(Score.of([0], [1], [60])) == "Score(ppq=480, 1 notes, 1 tracks)"


def test_a_score_shows_itself_in_a_notebook_without_a_network():
    html = Score.of([0, 480], [480, 480], [60, 64])._repr_html_()
    assert "<svg" in html or "<canvas" in html
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html
