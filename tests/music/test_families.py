"""Families of instruments, and taking them out."""

from pathlib import Path

import pytest

from etude.errors import SettingsError
from etude.music.check import check_score
from etude.music.columns import Controls, PitchBends, Texts
from etude.music.families import FAMILIES, family_of, remove_families
from etude.music.score import WHOLE_PIECE, Score, Track


def band():
    """Piano, fretless bass, drums with the program of a bass, flute, piano."""
    tracks = [Track(0), Track(35), Track(35, is_drum=True), Track(73), Track(0)]
    return Score.of(
        [0] * 5,
        [480] * 5,
        [60, 40, 36, 72, 64],
        track=range(5),
        tracks=tracks,
        controls=Controls.of(tick=[0] * 5, track=range(5), number=[64] * 5, value=range(5)),
        pitch_bends=PitchBends.of(tick=[0] * 5, track=range(5), value=range(5)),
        texts=Texts.of(tick=[0] * 3, kind=["lyric"] * 3, text=["all", "bass", "flute"], track=[WHOLE_PIECE, 1, 3]),
    )


def test_there_are_sixteen_families_of_eight_programs_and_drums():
    names = [family_of(program) for program in range(128)]
    assert names == [FAMILIES[k // 8] for k in range(128)]
    assert len(FAMILIES) == 17
    assert {family_of(program, is_drum=True) for program in range(128)} == {"drums"}
    # General MIDI: 13 xylophone, 25 steel guitar, 42 cello, 56 trumpet, 73 flute, 104 sitar, 127 gunshot
    assert [family_of(k) for k in (13, 25, 42, 56, 73, 104, 127)] == [
        "chromatic_percussion",
        "guitar",
        "strings",
        "brass",
        "pipe",
        "ethnic",
        "sound_effects",
    ]


@pytest.mark.parametrize("program", [-1, 128])
def test_a_program_that_does_not_exist_has_no_family(program):
    with pytest.raises(ValueError, match="expected 0 to 127"):
        family_of(program)


def test_controls_bends_and_words_go_with_their_instrument_and_the_others_follow_theirs():
    left = remove_families(band(), ["bass", "pipe"])
    assert check_score(left) == []
    assert [(track.program, track.is_drum) for track in left.tracks] == [(0, False), (35, True), (0, False)]
    assert dict(zip(left.notes.track.tolist(), left.notes.pitch.tolist(), strict=True)) == {0: 60, 1: 36, 2: 64}
    for table in (left.controls, left.pitch_bends):
        assert dict(zip(table.track.tolist(), table.value.tolist(), strict=True)) == {0: 0, 1: 2, 2: 4}
    assert left.texts.text == ("all",)


def test_the_piano_may_be_taken_out_and_everything_may():
    assert remove_families(band(), ["piano"]).notes.pitch.tolist() == [40, 36, 72]
    nothing = remove_families(band(), FAMILIES)
    assert (len(nothing.notes), nothing.tracks, len(nothing.controls)) == (0, (), 0)


def test_a_piece_that_has_none_of_the_families_stays_as_it_is():
    score = band()
    assert remove_families(score, ["organ"]) is score
    assert remove_families(score, []) is score


def test_an_unknown_family_is_refused():
    with pytest.raises(SettingsError, match="remove_families = 'basses': did you mean 'bass'"):
        remove_families(band(), ["basses"])


def test_the_docs_name_every_family():
    page = Path(__file__).resolve().parents[2] / "docs" / "filters.md"
    listed = page.read_text(encoding="utf-8").split("## Instruments")[1].split("## ")[0]
    assert [name for name in FAMILIES if f"`{name}`" not in listed] == []
