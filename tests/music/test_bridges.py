"""Scores go to other libraries and come back."""

import numpy as np
import pytest

from etude.music.bridges import from_symusic, to_symusic
from etude.music.midi import midi_bytes, read_midi
from etude.music.pretty_midi_bridge import from_pretty_midi, to_pretty_midi
from etude.music.score import (
    Controls,
    KeySignatures,
    PitchBends,
    Score,
    Tempos,
    Texts,
    TimeSignatures,
    Track,
)


@pytest.fixture
def score():
    """A piece with a row or more in every table."""
    return Score.of(
        [0, 480, 481, 960, 1500],
        [480, 0, 3, 700, 7],
        [60, 62, 62, 36, 127],
        [1, 64, 127, 90, 3],
        [0, 0, 0, 1, 2],
        ppq=480,
        tracks=[Track(0, False, "Ä piano"), Track(0, True, "Kit"), Track(73)],
        tempos=Tempos.of(tick=[0, 480, 960], us_per_quarter=[500_000, 333_333, 777_777]),
        time_signatures=TimeSignatures.of(tick=[0, 960], numerator=[4, 7], denominator=[4, 8]),
        key_signatures=KeySignatures.of(tick=[0, 480, 960], sharps=[-3, 4, 0], is_minor=[1, 0, 1]),
        controls=Controls.of(tick=[0, 100], track=[0, 2], number=[64, 7], value=[127, 100]),
        pitch_bends=PitchBends.of(tick=[5, 1400], track=[2, 0], value=[-8192, 8191]),
        texts=Texts.of(tick=[0, 480], kind=["lyric", "marker"], text=["la", "Verse"], track=[0, -1]),
    )


def tables_that_differ(one, other):
    return [name for name in one.__dataclass_fields__ if getattr(one, name) != getattr(other, name)]


def test_a_score_comes_back_from_symusic_as_it_was(score):
    assert from_symusic(to_symusic(score)) == score


def test_what_symusic_reads_itself_becomes_a_score():
    import symusic

    whole = Score.of([0, 480, 960], [480, 300, 77], [60, 64, 60], tracks=[Track(40)])
    read = from_symusic(symusic.Score.from_midi(midi_bytes(whole)))
    assert read.content_digest() == whole.content_digest()


def test_quarters_and_seconds_become_ticks(score):
    import symusic

    quarters = to_symusic(score).to("quarter")
    assert isinstance(quarters.ttype, symusic.core.Quarter)
    assert from_symusic(quarters).notes == score.notes


def test_an_empty_score_goes_there_and_back():
    empty = Score(96)
    assert from_symusic(to_symusic(empty)) == empty
    pytest.importorskip("pretty_midi", reason="pretty_midi, of the extra `audio`, is what this is about")
    assert from_pretty_midi(to_pretty_midi(empty)).notes == empty.notes


def test_other_texts_are_what_symusic_loses(score):
    texts = Texts.of(tick=[0, 0], kind=["copyright", "track_name"], text=["me", "Title"], track=[-1, -1])
    changed = Score(**{name: getattr(score, name) for name in score.__dataclass_fields__} | {"texts": texts})
    assert tables_that_differ(changed, from_symusic(to_symusic(changed))) == ["texts"]


def test_a_score_comes_back_from_pretty_midi_with_its_ticks(score):
    pytest.importorskip("pretty_midi", reason="pretty_midi, of the extra `audio`, is what this is about")
    back = from_pretty_midi(to_pretty_midi(score))
    assert tables_that_differ(score, back) == ["texts"]
    assert (back.texts.text, back.texts.track.tolist()) == (("la",), [-1])


def test_pretty_midi_hears_the_same_seconds(score, tmp_path):
    pretty_midi = pytest.importorskip("pretty_midi", reason="pretty_midi, of the extra `audio`, is what this is about")
    given = to_pretty_midi(score)
    notes = sorted((note.start, note.end, note.pitch) for track in given.instruments for note in track.notes)
    expected = zip(score.onset_sec.tolist(), score.offset_sec.tolist(), score.notes.pitch.tolist(), strict=True)
    assert np.allclose(notes, sorted(expected))
    whole = Score.of([0, 480], [480, 300], [60, 64], tempos=score.tempos)
    (tmp_path / "a.mid").write_bytes(midi_bytes(whole))
    read = from_pretty_midi(pretty_midi.PrettyMIDI(str(tmp_path / "a.mid")))
    assert read.notes == whole.notes
    assert read.tempos == whole.tempos


def test_what_pretty_midi_writes_is_the_score(score, tmp_path):
    pytest.importorskip("pretty_midi", reason="pretty_midi, of the extra `audio`, is what this is about")
    whole = Score.of([0, 480, 960], [480, 300, 77], [60, 64, 60], tempos=score.tempos)
    to_pretty_midi(whole).write(str(tmp_path / "a.mid"))
    assert read_midi(tmp_path / "a.mid").content_digest() == whole.content_digest()


def test_miditok_takes_and_gives_scores():
    miditok = pytest.importorskip("miditok", reason="miditok, of the extra `bench`, is what this is about")
    tokenizer = miditok.REMI(miditok.TokenizerConfig(use_programs=True, use_velocities=True))
    onset = np.arange(0, 16) * 240
    score = Score.of(onset, np.full(16, 240), 60 + np.arange(16), np.full(16, 63))
    ids = tokenizer(to_symusic(score))
    back = from_symusic(tokenizer.decode(ids))
    assert back.notes.pitch.tolist() == score.notes.pitch.tolist()
    assert np.allclose(back.onset_sec, score.onset_sec)
    assert np.allclose(back.offset_sec, score.offset_sec)


def test_a_missing_library_is_named_with_its_extra(monkeypatch, score):
    from etude.errors import MissingExtraError

    monkeypatch.setitem(__import__("sys").modules, "pretty_midi", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'etude\[audio\]'"):
        to_pretty_midi(score)
