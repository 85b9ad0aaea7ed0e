"""The relative tokenizer: its ids, its waits, its decoder and its grammar."""

import numpy as np
import pytest
from hypothesis import given, settings
from plain_absolute import plain_relative
from token_scores import any_score

from etude.music.check import check_score
from etude.music.midi import read_midi
from etude.music.score import Score, Track
from etude.tokens import build_tokenizer
from etude.tokens.absolute_marks import mark_near_end


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer("relative")


def in_ms(*notes, **more):
    begin, end, pitch = map(list, zip(*notes, strict=True))
    return Score.of(begin, np.subtract(end, begin), pitch, ppq=500, **more)


def words(tokenizer, score):
    return tokenizer.vocab.words(tokenizer.encode(score))


def test_there_are_17727_ids_and_those_of_genres_have_the_names_of_genres(tokenizer):
    """covers: AP-10"""
    names = tokenizer.vocab.names
    assert len(names) == 17_727
    assert names[:6] == ("START", "END", "PAD", "UNKNOWN", "NEAR_END", "WITH_PIANO")
    assert [name for name in names if name.startswith("GENRE")] == ["GENRE_JAZZ", "GENRE_CLASSICAL"]
    assert names[38] == "PIANO_0_0"
    assert names[-502:-500] == ("DURATION_5000", "WAIT_0")
    assert names[-1] == "WAIT_5000"


def test_a_genre_is_told_by_its_id(tokenizer):
    """covers: AP-10"""
    ids = tokenizer.encode(in_ms((0, 100, 60)), {"genre": "Jazz"})
    assert tokenizer.vocab.words(ids[:3]) == ["WITH_PIANO", "GENRE_JAZZ", "START"]
    assert tokenizer.labels_of(ids) == {"genre": "jazz"}


def test_the_worked_example_waits_5_seconds(tokenizer):
    """covers: AP-10"""
    score = in_ms((1000, 1900, 60), (1000, 1996, 64), (6003, 12_000, 67))
    assert words(tokenizer, score)[1:] == [
        *("START", "PIANO_60_60", "DURATION_900", "PIANO_64_60", "DURATION_1000"),
        *("WAIT_5000", "PIANO_67_60", "DURATION_5000"),
    ]


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (4, []),
        (10, ["WAIT_10"]),
        (5000, ["WAIT_5000"]),
        (5010, ["WAIT_5000", "WAIT_10"]),
        (10_000, ["WAIT_5000", "WAIT_5000"]),
        (12_344, ["WAIT_5000", "WAIT_5000", "WAIT_2340"]),
    ],
)
def test_long_waits_are_repeated(tokenizer, wait, expected):
    """covers: AP-10"""
    score = in_ms((0, 10, 60), (wait, wait + 10, 62))
    assert [word for word in words(tokenizer, score) if word.startswith("WAIT")] == expected
    decoded = tokenizer.decode(tokenizer.encode(score))
    assert decoded.notes.onset_tick.tolist() == [0, sum(int(word[5:]) for word in expected)]


def test_silence_at_the_beginning_is_a_wait_where_it_is_kept(tokenizer):
    score = in_ms((7000, 7100, 60))
    assert words(tokenizer, score)[1:] == ["START", "PIANO_60_60", "DURATION_100"]
    kept = build_tokenizer("relative", silence="keep")
    assert words(kept, score)[1:] == ["START", "WAIT_5000", "WAIT_2000", "PIANO_60_60", "DURATION_100"]
    assert kept.decode(kept.encode(score)).onset_sec.tolist() == [7.0]


def test_drums_are_one_id(tokenizer):
    score = in_ms((0, 10, 36), (50, 60, 38), tracks=[Track(0, is_drum=True)])
    assert words(tokenizer, score) == ["WITH_DRUMS", "START", "DRUM_36", "WAIT_50", "DRUM_38"]


def test_errors_of_waits_do_not_add_up(tokenizer):
    """covers: AP-10"""
    onset = 124 * np.arange(800)
    score = Score.of(onset, np.full(800, 120), 21 + np.arange(800) % 88, ppq=5000)  # a tick is 0.1 ms
    decoded = tokenizer.decode(tokenizer.encode(score))
    assert np.abs(decoded.onset_sec - score.onset_sec).max() <= 0.005 + 1e-9


@settings(max_examples=100)
@given(score=any_score())
def test_columns_and_plain_loops_agree(score):
    """covers: AP-10"""
    assert build_tokenizer("relative").encode(score).tolist() == plain_relative(score)


@settings(max_examples=40)
@given(score=any_score())
def test_what_was_decoded_has_the_same_ids_and_they_are_legal(score):
    """covers: AP-10"""
    tokenizer = build_tokenizer("relative", silence="keep", pedal="ignore", instruments=["piano"])
    ids = tokenizer.encode(score)
    assert tokenizer.encode(tokenizer.decode(ids)).tolist() == ids.tolist()
    assert tokenizer.grammar.accepts([*ids.tolist(), tokenizer.end_id])
    assert set(tokenizer.repairs(ids).values()) == {0}


@settings(max_examples=60)
@given(score=any_score())
def test_both_tokenizers_tell_the_same_piece(score):
    """covers: AP-10"""
    absolute, relative = build_tokenizer("absolute"), build_tokenizer("relative")
    assert absolute.decode(absolute.encode(score)) == relative.decode(relative.encode(score))


@pytest.mark.parametrize(
    ("given", "notes", "stray"),
    [
        ("WAIT_500 PIANO_60_80 DURATION_500", [(500, 1000, 60)], 0),
        ("PIANO_60_80 WAIT_500 DURATION_500", [], 2),
        ("DURATION_10 DRUM_36 WAIT_10 WAIT_20 DRUM_36", [(0, 10, 36), (30, 40, 36)], 1),
        ("PIANO_60_80 NEAR_END DURATION_500", [(0, 500, 60)], 0),
        ("PIANO_60_80", [], 1),
        ("WAIT_0 PIANO_60_80 DURATION_10 END DRUM_36", [(0, 10, 60)], 0),
    ],
)
def test_the_decoder_mends_what_is_not_a_piece_and_says_so(tokenizer, given, notes, stray):
    """covers: AP-10"""
    ids = [tokenizer.vocab.id_of(word) for word in given.split()]
    told = tokenizer.decode(ids).notes
    rows = zip(told.onset_tick, told.onset_tick + told.duration_tick, told.pitch, strict=True)
    assert list(rows) == notes
    assert tokenizer.repairs(ids)["stray"] == stray


def test_ids_of_days_stop_at_24_hours(tokenizer):
    wait, note = [tokenizer.vocab.id_of("WAIT_5000")], tokenizer.encode(in_ms((0, 10, 60)))[2:].tolist()
    score = tokenizer.decode(wait * 17_279 + note + wait * 5 + note)
    assert len(score.notes) == 1
    assert check_score(score) == []


def legal_names(tokenizer, *names):
    ids = [tokenizer.vocab.id_of(name) for name in names]
    assert tokenizer.grammar.accepts(ids), names
    legal = np.flatnonzero(tokenizer.grammar.legal(tokenizer.grammar.after(ids)))
    return {tokenizer.vocab.names[i].split("_")[0] for i in legal}


def test_the_grammar_allows_what_it_should(tokenizer):
    begun = ("WITH_PIANO", "WITH_DRUMS", "START")
    events = {"PIANO", "DRUM", "NEAR"}
    assert legal_names(tokenizer) == {"WITH", "COMPOSER", "FORM", "GENRE", "END"}
    assert legal_names(tokenizer, *begun) == events | {"WAIT", "END"}
    assert legal_names(tokenizer, *begun, "WAIT_5000") == events | {"WAIT"}
    assert legal_names(tokenizer, *begun, "WAIT_4990") == events
    assert legal_names(tokenizer, *begun, "PIANO_60_80") == {"DURATION"}
    assert legal_names(tokenizer, *begun, "PIANO_60_80", "DURATION_10") == events | {"WAIT", "END"}
    assert legal_names(tokenizer, *begun, "DRUM_36") == events | {"WAIT", "END"}
    assert legal_names(tokenizer, *begun, "DRUM_36", "END") == set()


def test_waits_move_the_clock_and_no_other_id(tokenizer):
    moving = np.flatnonzero(tokenizer.id_facts.moves_time)
    assert moving.tolist() == list(range(tokenizer.vocab.id_of("WAIT_10"), tokenizer.vocab_size))


def test_the_mark_before_the_end_stands_between_groups(tokenizer):
    ids = tokenizer.encode(in_ms(*((50 * k, 50 * k + 40, 60 + k % 9) for k in range(90))))
    for index in range(20):
        marked = mark_near_end(tokenizer, ids, seed=5, index=(index,))
        assert tokenizer.grammar.accepts([*marked, tokenizer.end_id])
        assert tokenizer.decode(marked) == tokenizer.decode(ids)


def test_real_music_is_encoded_as_plain_loops_do(tokenizer, shared_data):
    """covers: AP-10"""
    for path in sorted((shared_data / "mini").rglob("*.mid")):
        score = read_midi(path)
        ids = tokenizer.encode(score)
        assert tokenizer.encode(tokenizer.decode(ids)).tolist() == ids.tolist(), path
        if len(score.notes) < 1000:  # loops are slow
            assert tokenizer.grammar.accepts([*ids, tokenizer.end_id]), path
            assert ids.tolist() == plain_relative(score), path
