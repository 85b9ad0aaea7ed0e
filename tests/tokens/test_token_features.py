"""What changes from token to token is counted from what was read alone, in one go as id by id."""

import numpy as np
import pytest

from etude.errors import SettingsError
from etude.music.score import Score
from etude.tokens import TOKENIZERS, build_tokenizer
from etude.tokens.token_features import NUM_VALUES, TokenFeatures

WITHOUT_CLOCK = {"tokens_gone": 128, "token_kind": 4, "pitch_class": 13}
SEVERAL = {"octuple"}  # ids a step: no model of the project reads them yet


def song():
    """Two notes at once, then one alone: C and E for a second, G for half a second."""
    return Score.of([0, 0, 960], [960, 960, 480], [60, 64, 67], [80, 80, 80], ppq=480)


def test_features_are_those_of_the_moment_before_each_id():
    """covers: MT-7 (partly)"""
    tokenizer = build_tokenizer("performance")
    ids = np.append(tokenizer.encode(song()), tokenizer.end_id)
    assert tokenizer.vocab.words(ids) == (
        ["VELOCITY_20", "NOTE_ON_60", "NOTE_ON_64", "TIME_SHIFT_1000", "NOTE_OFF_60", "NOTE_OFF_64"]
        + ["NOTE_ON_67", "TIME_SHIFT_500", "NOTE_OFF_67", "END"]
    )
    features = TokenFeatures(tokenizer, NUM_VALUES | {"seconds_gone": 15})
    found = dict(zip(features.sizes, features.of_piece(ids).T.tolist(), strict=True))
    assert found["seconds_gone"] == [0, 0, 0, 0, 9, 9, 9, 9, 14, 14]
    assert found["tokens_gone"] == [128 * place // 11 for place in range(10)]
    assert found["sounding"] == [0, 0, 1, 2, 2, 1, 0, 1, 1, 0]
    assert found["note_length"] == [-1, -1, -1, -1, -1, 100, 100, 100, 100, 83]
    assert found["token_kind"] == [3, 3, 1, 1, 0, 2, 2, 1, 0, 2]
    assert found["pitch_class"] == [0, 0, 1, 5, 0, 1, 5, 8, 0, 8]


@pytest.mark.parametrize("kind", sorted(TOKENIZERS.keys() - SEVERAL))
def test_id_by_id_is_the_same_as_in_one_go_whatever_the_ids_are(kind):
    tokenizer = build_tokenizer(kind)
    features = TokenFeatures(tokenizer, NUM_VALUES if getattr(tokenizer, "note_timing", None) else WITHOUT_CLOCK)
    ids = np.random.default_rng(0).integers(0, tokenizer.vocab_size, 300)
    if (timing := getattr(tokenizer, "note_timing", None)) is not None:
        advance = [timing.advance_sec[timing.first[one] : timing.first[one + 1]].sum() for one in ids.tolist()]
        whole = features.follow(seconds=float(np.round(np.sum(advance, dtype=np.float64), 6)), tokens=300)
    else:
        whole = features.follow(tokens=300)
    for place, values in enumerate(features.of_piece(ids)):
        assert whole.values.tolist() == values.tolist(), place
        whole.read(int(ids[place]))


def test_later_ids_change_nothing_before_them_but_the_shares():
    tokenizer = build_tokenizer("midilike")
    features = TokenFeatures(tokenizer, {name: NUM_VALUES[name] for name in ("sounding", "note_length", "pitch_class")})
    ids = np.random.default_rng(1).integers(0, tokenizer.vocab_size, 200)
    assert np.array_equal(features.of_piece(ids)[:121], features.of_piece(ids[:121]))


def test_what_is_not_known_is_said_to_be():
    features = TokenFeatures(build_tokenizer("performance"), {"seconds_gone": 8, "tokens_gone": 8, "note_length": 9})
    assert features.follow().values.tolist() == [-1, -1, -1]
    assert features.follow(seconds=3, tokens=40).values.tolist() == [0, 0, -1]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("performance", "soundin", "'soundin': nothing of that name changes by token; did you mean 'sounding'"),
        ("remi", "sounding", "'sounding': ids of tokenizer remi do not tell when notes end"),
    ],
)
def test_what_ids_do_not_tell_is_refused(kind, name, message):
    with pytest.raises(SettingsError, match=message):
        TokenFeatures(build_tokenizer(kind), {name: 4})
