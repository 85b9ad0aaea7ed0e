"""MuseCoco's prefix: 63 ids and the separator, in the published order."""

import numpy as np
import pytest

from etude.attributes import measure
from etude.errors import TokenError
from etude.music.score import Score, Tempos, TimeSignatures, Track
from etude.tokens import build_tokenizer
from etude.tokens.musecoco_prefix import PUBLISHED, prefix_ids, values_of_ids
from etude.tokens.remi_vocab import NAMES, SEP


def words(ids):
    return [NAMES[one] for one in ids.tolist()]


@pytest.fixture
def piece():
    tracks = (Track(0), Track(33), Track(0, is_drum=True))
    beats = np.arange(32) * 480
    return Score.of(
        np.concatenate([beats, beats, [0, 960, 480]]),
        [480] * 64 + [60] * 3,
        [60, 64, 67, 72] * 8 + [36, 36, 43, 43] * 8 + [36, 36, 38],
        track=[0] * 32 + [1] * 32 + [2] * 3,
        tracks=tracks,
        tempos=Tempos.of(tick=[0], us_per_quarter=[600_000]),
        time_signatures=TimeSignatures.of(tick=[0], numerator=[4], denominator=[4]),
    )


def test_nothing_known_is_63_ids_each_the_last_of_its_kind():
    """covers: MT-19 (partly)"""
    ids = prefix_ids({})
    expected = [*(987 + 3 * k for k in range(28)), 1097, 1102, 1105, 1109, 1127, *(1130 + 3 * k for k in range(22))]
    assert ids.tolist() == [*expected, 1198, 1206, 1209, 1213, 1226, 1241, 1246, 1252, SEP]
    assert ids.dtype == np.int32


def test_the_labels_of_a_score_give_the_published_prefix(piece):
    """covers: MT-19 (partly)"""
    labels = {"composer": "Brahms", "emotion": "Q4", "genre": "Jazz"}
    told = words(prefix_ids(measure(piece, labels=labels)))
    assert len(told) == 64
    held = {0, 5, 27}
    assert told[:28] == [f"I1s2_{k}_{0 if k in held else 1}" for k in range(28)]
    assert told[28:33] == ["I4_28", "C1_4", "R1_0", "R3_0", "S2s1_7"]
    assert told[33:55] == [f"S4_{k}_{0 if k == 10 else 1}" for k in range(22)]
    assert told[55:] == ["B1s1_1", "TS1s1_0", "K1_0", "T1s1_1", "P4_3", "ST1_14", "EM1_3", "TM1_1", "<sep>"]


def test_an_unknown_genre_refuses_no_genre(piece):
    assert words(prefix_ids(measure(piece)))[33:55] == [f"S4_{k}_2" for k in range(22)]


def test_the_short_form_lists_only_what_is_known():
    asked = {"tempo": "fast", "instruments": {"piano": True, "drums": False}, "artist": None, "bars": 5}
    assert words(prefix_ids(asked, order="short")) == ["I1s2_0_0", "I1s2_27_1", "B1s1_1", "T1s1_2", "<sep>"]


def test_more_than_sixteen_bars_have_no_published_id():
    assert words(prefix_ids({"bars": 17.0}, order="short")) == ["<sep>"]
    assert words(prefix_ids({"bars": 16.0}, order="short")) == ["B1s1_3", "<sep>"]


@pytest.mark.parametrize("order", ["fixed", "short"])
def test_a_prefix_says_again_what_was_asked(order):
    asked = {"metre": "6/8", "mode": "minor", "emotion": "sad", "genre": {"folk": True, "rap": False}}
    assert values_of_ids(prefix_ids(asked, order=order)) == asked
    assert values_of_ids(prefix_ids({}, order=order)) == {}


def test_every_published_value_has_an_id_of_its_own():
    from etude.attributes import attribute

    seen = set()
    for name in PUBLISHED:
        bins = attribute(name).bins
        for member in bins.names[:-1]:
            said = [{member: True}, {member: False}] if bins.kind == "set" else [member]
            seen |= {tuple(prefix_ids({name: value}, order="short").tolist()[:-1]) for value in said}
    # 268 ids, less those for what is not known and the kinds that are never known; more than 16 bars has none
    assert () in seen
    assert len(seen) - 1 == 2 * 28 + 2 + 3 + 17 + 2 * 22 + 4 + 7 + 2 + 3 + 12 + 4 + 5


def test_the_tokenizer_passes_over_a_prefix(piece):
    tokenizer = build_tokenizer("remi")
    ids = tokenizer.encode(piece)
    assert tokenizer.decode(np.concatenate([prefix_ids(measure(piece)), ids])) == tokenizer.decode(ids)


@pytest.mark.parametrize(
    ("values", "order", "message"),
    [
        ({"temp": 100}, "fixed", "condition 'temp': no such attribute; did you mean 'tempo'"),
        ({"metre": "waltz", "mode": "mayor"}, "fixed", "condition mode: value 'mayor': did you mean 'major'"),
        ({"instruments": ("pianoo",)}, "fixed", "condition instruments: value 'pianoo': did you mean 'piano'"),
        ({"tempo": float("nan")}, "fixed", "condition tempo: value nan"),
        ({}, "long", "order = 'long'"),
    ],
)
def test_what_has_no_id_is_refused_in_one_line(values, order, message):
    with pytest.raises(TokenError) as refused:
        prefix_ids(values, order=order)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
