"""The absolute tokenizer: its ids, its bounds, the pedal and labels."""

import json

import numpy as np
import pytest
from absolute_scores import DRUMS, FORMS, NO_LABELS, PIANO, heard, in_ms, words
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_absolute import plain_absolute
from token_scores import any_score

from etude.errors import SettingsError
from etude.music.check import check_score
from etude.music.midi import midi_bytes, read_midi
from etude.music.score import Score, Track
from etude.tokens import build_tokenizer, tokenizer_from_json


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer("absolute")


@pytest.fixture(scope="module")
def published():
    return build_tokenizer("absolute", published=True)


def test_there_are_17727_ids_in_their_places(tokenizer):
    """covers: AP-9"""
    names = tokenizer.vocab.names
    assert len(names) == tokenizer.vocab_size == 17_727
    assert names[:6] == ("START", "END", "PAD", "UNKNOWN", "NEAR_END", "SEGMENT")
    assert [names[i] for i in (6, 15, 16)] == ["WITH_PIANO", "WITH_SYNTH_LEAD", "WITH_DRUMS"]
    assert [names[i] for i in (17, 20, 28)] == ["COMPOSER_BACH", "COMPOSER_CHOPIN", "COMPOSER_SCARLATTI"]
    assert [names[i] for i in (29, 32, 36)] == ["FORM_SONATA", "FORM_ÉTUDE", "FORM_FUGUE"]
    assert names[37:40] == ("GENRE_JAZZ", "GENRE_CLASSICAL", "PIANO_0_0")
    assert [names[i] for i in (16_678, 16_679, 16_725)] == ["SYNTH_LEAD_127_120", "DRUM_35", "DRUM_81"]
    assert [names[i] for i in (16_726, 17_226)] == ["DURATION_0", "DURATION_5000"]
    assert [names[i] for i in (17_227, 17_726)] == ["ONSET_0", "ONSET_4990"]


def test_a_piano_note_is_39_and_13_times_pitch_and_velocity_by_10(tokenizer):
    """covers: AP-9"""
    for pitch, velocity in ((0, 10), (60, 60), (127, 120)):
        ids = tokenizer.encode(in_ms((0, 100, pitch, velocity)))
        assert ids[2] == 39 + 13 * pitch + velocity // 10


def test_the_worked_example_has_exactly_its_ids(tokenizer, published):
    """covers: AP-9"""
    score = in_ms(
        (1000, 1500, 60, 64), (1000, 1996, 64, 127), (6003, 12_000, 67, 3), pedal=[(700, 0, 127), (1900, 0, 0)]
    )
    ids = [6, 0, 825, 17227, 16816, 883, 17227, 16826, 5, 911, 17227, 17226]
    assert tokenizer.encode(score).tolist() == published.encode(score).tolist() == ids
    assert tokenizer.end_id == 1


def test_the_real_time_form_has_2675_ids():
    tokenizer = build_tokenizer("absolute", pedal="both", delimiter=True, **PIANO, **NO_LABELS)
    assert tokenizer.vocab_size == 2675
    assert tokenizer.vocab.names[-3:] == ("PEDAL_DOWN", "PEDAL_UP", "DELIMITER")
    assert tokenizer.vocab.names[6:8] == ("WITH_PIANO", "PIANO_0_0")


def test_the_last_5_ms_of_a_segment_belong_to_the_next(tokenizer, published):
    """covers: AP-9"""
    for onset, here, there in ((4994, "ONSET_4990", "ONSET_4990"), (4995, "ONSET_0", "ONSET_4990")):
        score = in_ms((0, 100, 60), (onset, onset + 100, 62))
        assert words(tokenizer, score)[-2] == here
        assert words(published, score)[-2] == there
        assert ("SEGMENT" in words(tokenizer, score)) == (here == "ONSET_0")
        assert "SEGMENT" not in words(published, score)
    assert heard(tokenizer, in_ms((0, 100, 60), (4999, 5100, 62)))[1][0] == 5000


def test_many_silent_segments_are_written_one_by_one(tokenizer):
    """covers: AP-9"""
    score = in_ms((0, 100, 60), (25_010, 25_110, 60))
    assert words(tokenizer, score)[5:-3] == ["SEGMENT"] * 5
    assert heard(tokenizer, score) == [(0, 100, 60), (25_010, 25_110, 60)]


@settings(max_examples=100)
@given(onset=st.lists(st.integers(0, 300_000), min_size=1, max_size=60))
def test_onsets_stay_within_5_ms_and_durations_too(onset):
    """covers: AP-9"""
    tokenizer = build_tokenizer("absolute")
    onset = np.unique(onset)
    duration = 1 + onset * 37 % 60_000
    # a tick is 0.1 ms, and no key is struck twice
    score = Score.of(onset, duration, np.arange(len(onset)), ppq=5000)
    decoded = tokenizer.decode(tokenizer.encode(score))
    order = np.argsort(decoded.notes.pitch)
    told = decoded.onset_sec[order] + score.onset_sec[0]
    assert np.abs(told - score.onset_sec).max() <= 0.005 + 1e-9
    length = (score.offset_sec - score.onset_sec).clip(0.01, 5)
    assert np.abs((decoded.offset_sec - decoded.onset_sec)[order] - length).max() <= 0.005 + 1e-9


def test_as_published_onsets_stay_within_9_ms(published):
    """covers: AP-9"""
    onset = np.concatenate([[0], 4900 + np.arange(128)])
    score = Score.of(onset, np.full(129, 100), np.concatenate([[0], np.arange(128)]), ppq=500)
    decoded = published.decode(published.encode(score))
    error = decoded.onset_sec[np.argsort(decoded.notes.pitch, kind="stable")] - score.onset_sec
    assert 0.0085 < np.abs(error).max() <= 0.009 + 1e-9


def test_velocities_from_5_to_125_stay_within_5_and_ties_go_up(tokenizer):
    """covers: AP-9"""
    score = in_ms(*((200 * v, 200 * v + 100, 60, v) for v in range(1, 128)))
    told = tokenizer.decode(tokenizer.encode(score)).notes.velocity
    given = np.arange(1, 128)
    assert (np.abs(told - given)[4:125] <= 5).all()
    assert told[:4].tolist() == [10] * 4
    assert told[125:].tolist() == [120] * 2
    assert told[[14, 24, 34, 44]].tolist() == [20, 30, 40, 50]


def test_as_published_ties_of_velocity_go_where_its_search_goes(published):
    score = in_ms(*((200 * v, 200 * v + 100, 60, v) for v in range(1, 128)))
    told = published.decode(published.encode(score)).notes.velocity
    ties = {15: 20, 25: 20, 35: 40, 45: 40, 55: 60, 65: 60, 75: 70, 85: 90, 95: 90, 105: 110, 115: 110}
    assert {velocity: told[velocity - 1] for velocity in ties} == ties
    assert told[:14].tolist() == [10] * 14
    assert told[115:].tolist() == [120] * 12


@settings(max_examples=150)
@given(score=any_score())
def test_columns_and_plain_loops_agree(score):
    """covers: AP-9"""
    assert build_tokenizer("absolute").encode(score).tolist() == plain_absolute(score)


@pytest.mark.parametrize("form", range(len(FORMS)))
@settings(max_examples=40)
@given(score=any_score())
def test_in_every_form_what_was_decoded_has_the_same_ids_and_they_are_legal(form, score):
    """covers: AP-9"""
    tokenizer = build_tokenizer("absolute", **FORMS[form])
    ids = tokenizer.encode(score)
    decoded = tokenizer.decode(ids)
    assert check_score(decoded) == []
    assert tokenizer.encode(decoded).tolist() == ids.tolist()
    assert tokenizer.grammar.accepts([*ids.tolist(), tokenizer.end_id])
    assert set(tokenizer.repairs(ids).values()) == {0}
    assert tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json()))).hash == tokenizer.hash


def test_a_note_released_under_the_pedal_lasts_until_it_comes_up(tokenizer):
    score = in_ms((0, 200, 60), (500, 700, 62), (2000, 2200, 64), pedal=[(100, 0, 90), (1000, 0, 0)])
    assert heard(tokenizer, score) == [(0, 1000, 60), (500, 1000, 62), (2000, 2200, 64)]
    assert heard(build_tokenizer("absolute", pedal="ignore"), score)[0] == (0, 200, 60)


def test_a_note_that_ends_as_the_pedal_moves_ends_there(tokenizer):
    score = in_ms((0, 300, 60), (500, 1000, 62), pedal=[(300, 0, 127), (1000, 0, 0), (1000, 0, 127), (3000, 0, 0)])
    assert heard(tokenizer, score) == [(0, 300, 60), (500, 1000, 62)]


def test_a_pedal_holds_the_notes_of_its_own_track_alone(tokenizer):
    score = in_ms((0, 200, 60, 64, 0), (0, 200, 72, 64, 1), pedal=[(100, 0, 127), (900, 0, 0), (100, 1, 0)])
    assert heard(tokenizer, score) == [(0, 900, 60), (0, 200, 72)]


def test_a_pedal_that_never_comes_up_holds_to_the_end(tokenizer, published):
    score = in_ms((0, 200, 60), (500, 3000, 62), (1000, 1200, 64), pedal=[(100, 0, 127)])
    assert heard(tokenizer, score) == [(0, 3000, 60), (500, 3000, 62), (1000, 3000, 64)]
    assert heard(published, score) == [(0, 1200, 60), (500, 3000, 62), (1000, 1200, 64)]


def test_a_key_struck_again_under_the_pedal_ends_there_unless_as_published(tokenizer, published):
    score = in_ms((0, 100, 60), (500, 600, 60), pedal=[(50, 0, 127), (2000, 0, 0)])
    assert heard(tokenizer, score) == [(0, 500, 60), (500, 2000, 60)]
    assert [word for word in words(published, score) if "DURATION" in word] == ["DURATION_2000", "DURATION_1500"]
    assert heard(published, score) == [(0, 500, 60), (500, 2000, 60)]


def test_notes_that_strike_one_key_at_once_become_the_loudest_and_longest(tokenizer, published):
    score = in_ms((0, 300, 60, 40, 0), (0, 100, 60, 80, 1))
    assert words(tokenizer, score)[2:] == ["PIANO_60_80", "ONSET_0", "DURATION_300"]
    assert len(published.encode(score)) == 8


def test_notes_of_other_instruments_share_nothing(tokenizer):
    tracks = [Track(40), Track(0), Track(66), Track(1)]
    score = in_ms(
        (0, 900, 60, 70, 0), (500, 700, 60, 70, 1), (500, 600, 60, 70, 2), (600, 700, 60, 9, 3), tracks=tracks
    )
    assert words(tokenizer, score) == [
        *("WITH_PIANO", "WITH_STRINGS", "WITH_REED", "START"),
        *("STRINGS_60_70", "ONSET_0", "DURATION_900"),
        *("PIANO_60_70", "ONSET_500", "DURATION_100"),
        *("REED_60_70", "ONSET_500", "DURATION_100"),
        *("PIANO_60_10", "ONSET_600", "DURATION_100"),
    ]
    decoded = tokenizer.decode(tokenizer.encode(score))
    assert [track.program for track in decoded.tracks] == [0, 40, 64]
    assert read_midi(midi_bytes(decoded)).notes == decoded.notes


def test_families_without_ids_are_left_out_and_time_begins_with_the_first_note_that_is_kept(tokenizer):
    tracks = [Track(12), Track(24), Track(122)]
    score = in_ms((0, 900, 60, 70, 0), (500, 700, 64, 70, 1), (800, 900, 60, 70, 2), tracks=tracks)
    assert words(tokenizer, score) == ["WITH_GUITAR", "START", "GUITAR_64_70", "ONSET_0", "DURATION_200"]
    only = build_tokenizer("absolute", instruments=["piano"])
    assert only.encode(score).tolist() == []


def test_drums_have_a_key_and_an_onset(tokenizer):
    score = in_ms((0, 900, 36, 70, 0), (20, 30, 34, 70, 0), (50, 60, 60, 70, 1), tracks=[DRUMS, Track(0)])
    expected = ["WITH_PIANO", "WITH_DRUMS", "START", "DRUM_36", "ONSET_0", "PIANO_60_70", "ONSET_50", "DURATION_10"]
    assert words(tokenizer, score) == expected
    decoded = tokenizer.decode(tokenizer.encode(score))
    assert decoded.tracks == (Track(0), DRUMS)
    assert decoded.notes.velocity.tolist() == [60, 70]
    without = build_tokenizer("absolute", drums="skip")
    assert without.vocab_size == 17_727 - 48
    assert words(without, score) == ["WITH_PIANO", "START", "PIANO_60_70", "ONSET_0", "DURATION_10"]
    assert "drums" in without.loses
    assert "drums" not in tokenizer.loses


def test_leading_silence_is_dropped_or_kept(tokenizer):
    score = in_ms((7000, 7100, 60))
    assert words(tokenizer, score)[2:] == ["PIANO_60_60", "ONSET_0", "DURATION_100"]
    kept = build_tokenizer("absolute", silence="keep")
    assert words(kept, score)[2:] == ["SEGMENT", "PIANO_60_60", "ONSET_2000", "DURATION_100"]


def test_the_pedal_has_ids_of_its_own_where_asked():
    score = in_ms((500, 600, 60), (2000, 2100, 62), pedal=[(0, 0, 10), (300, 0, 80), (400, 0, 90), (1500, 0, 5)])
    tokens = words(build_tokenizer("absolute", pedal="tokens", **PIANO), score)
    assert tokens == [
        *("WITH_PIANO", "START", "PEDAL_DOWN", "ONSET_0", "PIANO_60_60", "ONSET_200", "DURATION_100"),
        *("PEDAL_UP", "ONSET_1200", "PIANO_62_60", "ONSET_1700", "DURATION_100"),
    ]
    both = build_tokenizer("absolute", pedal="both", **PIANO)
    assert words(both, score) == [word if index != 6 else "DURATION_1000" for index, word in enumerate(tokens)]
    controls = both.decode(both.encode(score)).controls
    assert [controls.tick.tolist(), controls.value.tolist()] == [[0, 1200], [127, 0]]


def test_a_pedal_with_ids_needs_the_piano_alone():
    with pytest.raises(SettingsError, match=r"instruments = \['piano'\]"):
        build_tokenizer("absolute", pedal="tokens")
    with pytest.raises(SettingsError, match="stands there twice"):
        build_tokenizer("absolute", composers=["bach", "bach"])


def test_labels_stand_in_the_prefix_where_they_have_an_id(tokenizer):
    """covers: AP-9"""
    score = in_ms((0, 100, 60))
    labels = {"composer": "Liszt", "form": "Etude", "genre": "classical", "performer": "Somebody"}
    ids = tokenizer.encode(score, labels)
    told = ["WITH_PIANO", "COMPOSER_LISZT", "FORM_ÉTUDE", "GENRE_CLASSICAL", "START"]
    assert tokenizer.vocab.words(ids[:5]) == told
    assert tokenizer.labels_of(ids) == {"composer": "liszt", "form": "étude", "genre": "classical"}
    assert ids[4:].tolist() == tokenizer.encode(score)[1:].tolist()
    assert tokenizer.grammar.accepts([*ids, 1])
    assert tokenizer.encode(score, {"composer": "Haydn"}).tolist() == tokenizer.encode(score).tolist()


def test_real_music_is_encoded_as_plain_loops_do_and_every_encoding_is_legal(tokenizer, shared_data):
    """covers: AP-9"""
    for path in sorted((shared_data / "mini").rglob("*.mid")):
        score = read_midi(path)
        ids = tokenizer.encode(score)
        assert tokenizer.encode(tokenizer.decode(ids)).tolist() == ids.tolist(), path
        assert set(tokenizer.repairs(ids).values()) <= {0}, path
        if len(score.notes) < 1000:  # loops are slow
            assert tokenizer.grammar.accepts([*ids, tokenizer.end_id]), path
            assert ids.tolist() == plain_absolute(score), path
