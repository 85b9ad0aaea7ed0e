"""Whatever is wrong in a Score is said, with its place and what was expected."""

from dataclasses import replace

import pytest
from hypothesis import given
from midi_making import scores

from etude.music.check import check_score
from etude.music.score import Controls, KeySignatures, Notes, PitchBends, Score, Tempos, Texts, TimeSignatures, Track

GOOD = Score.of([0, 480], [480, 480], [60, 64])


@given(scores())
def test_nothing_is_wrong_in_a_good_score(score):
    assert check_score(score) == []


@pytest.mark.parametrize(
    ("score", "code", "where"),
    [
        (replace(GOOD, ppq=0), "range", "ppq"),
        (Score.of([0], [-1], [60]), "range", "notes.duration_tick[0]"),
        (Score.of([-1, 0], [1, 1], [60, 60]), "range", "notes.onset_tick[0]"),
        (Score.of([0, 1], [1, 1], [60, 128]), "range", "notes.pitch[1]"),
        (Score.of([0, 1], [1, 1], [60, 60], [64, 0]), "range", "notes.velocity[1]"),
        (Score.of([0], [1], [60], track=[3], tracks=[Track(0)]), "track", "notes.track[0]"),
        (Score.of([2**31 - 1], [1], [60]), "length", "notes.duration_tick[0]"),
        (replace(GOOD, notes=Notes([480, 0], [1, 1], [60, 60], [64, 64], [0, 0])), "order", "notes"),
        (replace(GOOD, tracks=(Track(128),)), "range", "tracks[0].program"),
        (replace(GOOD, tempos=Tempos.of(tick=[0], us_per_quarter=[0])), "range", "tempos.us_per_quarter[0]"),
        (
            replace(GOOD, time_signatures=TimeSignatures.of(tick=[0], numerator=[4], denominator=[6])),
            "denominator",
            "time_signatures.denominator[0]",
        ),
        (
            replace(GOOD, key_signatures=KeySignatures.of(tick=[0], sharps=[8], is_minor=[0])),
            "range",
            "key_signatures.sharps[0]",
        ),
        (
            replace(GOOD, controls=Controls.of(tick=[0], track=[1], number=[64], value=[0])),
            "track",
            "controls.track[0]",
        ),
        (replace(GOOD, pitch_bends=PitchBends.of(tick=[0], track=[0], value=[8192])), "range", "pitch_bends.value[0]"),
        (replace(GOOD, texts=Texts.of(tick=[0], kind=["poem"], text=["a"], track=[-1])), "kind", "texts.kind[0]"),
        (replace(GOOD, texts=Texts.of(tick=[0], kind=["cue"], text=["a"], track=[-2])), "track", "texts.track[0]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_kind_of_problem_is_found(score, code, where):
    found = check_score(score)
    assert [(problem.code, problem.where) for problem in found] == [(code, where)]
    assert "\n" not in found[0].message
