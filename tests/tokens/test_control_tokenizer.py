"""Control tokens: a prefix says what a piece is to be, over any base, for attributes of anybody's own."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from token_scores import any_score, fixed_piece

from etude.errors import SettingsError, TokenError
from etude.music.check import check_score
from etude.tokens import TOKENIZERS, build_tokenizer, tokenizer_from_json

COMPOSER = {"name": "composer", "values": ["Bach", "Chopin"]}
DENSITY = {"name": "note_density", "thresholds": [4, 8]}
BOTH = [COMPOSER, DENSITY]


class MeanPitch:
    """An attribute of somebody else, found by module and class."""

    transposed = "other"
    faster = "same"

    @staticmethod
    def measure(score):
        return float(score.notes.pitch.mean()) if len(score.notes) else None


MINE = {"name": "height", "measured_by": f"{__name__}:MeanPitch", "thresholds": [60]}


def control(*attributes, **settings):
    return build_tokenizer("control", attributes=list(attributes), **settings)


def words(tokenizer, ids, count):
    return tokenizer.vocab.words(ids[:count])


def test_in_fixed_order_every_attribute_is_written_and_in_short_order_what_is_said():
    fixed, short = control(*BOTH), control(*BOTH, order="short")
    assert fixed.vocab.words(fixed.prefix({"note_density": 9})) == ["composer=NA", "note_density=>=8", "CONTROL_SEP"]
    assert fixed.vocab.words(fixed.prefix({})) == ["composer=NA", "note_density=NA", "CONTROL_SEP"]
    said = {"note_density": "<4", "composer": "Bach"}
    assert short.vocab.words(short.prefix(said)) == ["composer=Bach", "note_density=<4", "CONTROL_SEP"]
    assert short.vocab.words(short.prefix({"composer": None})) == ["CONTROL_SEP"]
    assert fixed.conditions_of(fixed.prefix(said)) == short.conditions_of(short.prefix(said)) == said
    assert fixed.hash != short.hash


def test_ids_of_the_base_stay_what_they_are():
    base, tokenizer = build_tokenizer("performance"), control(*BOTH)
    assert tokenizer.vocab.names[: base.vocab_size] == base.vocab.names
    assert tokenizer.vocab_size == base.vocab_size + 3 + 4 + 1
    ids = tokenizer.encode(fixed_piece(), {"composer": "Bach"})
    assert ids[3:].tolist() == base.encode(fixed_piece()).tolist() == tokenizer.encode(fixed_piece()).tolist()
    assert tokenizer.decode(ids) == base.decode(ids[3:])
    assert tokenizer.measure(ids) == base.measure(ids[3:])
    assert tokenizer.repairs([*ids, tokenizer.end_id]) == base.repairs([*ids[3:], base.end_id])
    assert tokenizer.prefix_length(ids) == 3
    assert tokenizer.transpose_ids(ids, 2).tolist() == [*ids[:3], *base.transpose_ids(ids[3:], 2)]


def test_a_new_attribute_gives_control_tokens():
    """covers: star-21"""
    tokenizer = control(MINE, COMPOSER)
    piece = SimpleNamespace(score=fixed_piece(), labels={"composer": "Chopin", "year": "1830"})
    height = "height=>=60" if MeanPitch.measure(fixed_piece()) >= 60 else "height=<60"
    assert words(tokenizer, tokenizer.encode_piece(piece), 3) == [height, "composer=Chopin", "CONTROL_SEP"]
    assert words(tokenizer, tokenizer.encode(fixed_piece(), {"height": 59.9}), 1) == ["height=<60"]
    again = tokenizer_from_json(tokenizer.to_json())
    assert (again.hash, again.vocab.names) == (tokenizer.hash, tokenizer.vocab.names)
    # it changes with the key, so the ids of a piece in another key are not exact
    assert not tokenizer.transposes_exactly
    assert control(*BOTH).transposes_exactly


def test_a_label_that_is_not_listed_or_a_piece_that_has_no_value_is_not_known():
    tokenizer = control(*BOTH)
    empty = SimpleNamespace(score=build_tokenizer("performance").decode([]), labels={"composer": "Satie"})
    assert tokenizer.vocab.words(tokenizer.encode_piece(empty)) == ["composer=NA", "note_density=NA", "CONTROL_SEP"]


@pytest.mark.parametrize("kind", sorted(set(TOKENIZERS) - {"control", "octuple"}))
@pytest.mark.parametrize("order", ["fixed", "short"])
def test_over_any_base_a_prefix_and_a_piece_are_legal_to_the_end(kind, order):
    tokenizer = control(*BOTH, base={"kind": kind}, order=order)
    assert tokenizer.id_facts.pitch.shape == (tokenizer.vocab_size,)
    for said in (None, {}, {"composer": "Bach", "note_density": 5}):
        ids = [*tokenizer.encode(fixed_piece(), said).tolist(), tokenizer.end_id]
        assert tokenizer.grammar.first_illegal(ids) is None
        assert not tokenizer.grammar.legal(tokenizer.grammar.after(ids)).any()
        assert tokenizer.decode(ids) == tokenizer.base.decode(tokenizer.base.encode(fixed_piece()))


def legal_names(tokenizer, *names):
    ids = [tokenizer.vocab.id_of(name) for name in names]
    legal = tokenizer.grammar.legal(tokenizer.grammar.after(ids))
    control_ids = tokenizer.control.ids
    return {tokenizer.vocab.names[one] for one in control_ids[legal[control_ids]]}, np.delete(legal, control_ids).any()


def test_the_grammar_asks_for_the_attributes_in_their_order():
    composer = {"composer=Bach", "composer=Chopin", "composer=NA"}
    density = {"note_density=<4", "note_density=4..8", "note_density=>=8", "note_density=NA"}
    fixed, short = control(*BOTH), control(*BOTH, order="short")
    assert legal_names(fixed) == (composer, True)
    assert legal_names(fixed, "composer=NA") == (density, False)
    assert legal_names(fixed, "composer=NA", "note_density=NA") == ({"CONTROL_SEP"}, False)
    assert legal_names(short) == (composer | density | {"CONTROL_SEP"}, True)
    assert legal_names(short, "composer=Bach") == (density | {"CONTROL_SEP"}, False)
    assert legal_names(short, "note_density=<4") == ({"CONTROL_SEP"}, False)
    for tokenizer in (fixed, short):
        assert legal_names(tokenizer, "composer=NA", "note_density=NA", "CONTROL_SEP") == (set(), True)
        assert legal_names(tokenizer, "VELOCITY_20", "NOTE_ON_60") == (set(), True)


@given(data=st.data())
def test_control_tokens_anywhere_tell_nothing_of_the_music(data):
    tokenizer = control(*BOTH)
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=60))
    assert check_score(tokenizer.decode(ids)) == []
    assert tokenizer.decode(ids) == tokenizer.base.decode([one for one in ids if one < tokenizer.base.vocab_size])


@given(score=any_score())
def test_a_prefix_changes_nothing_of_the_piece(score):
    tokenizer = control(*BOTH, order="short")
    ids = tokenizer.encode(score, {"composer": "Chopin"})
    assert tokenizer.encode(tokenizer.decode(ids), {"composer": "Chopin"}).tolist() == ids.tolist()


def test_conditions_can_be_taken_out_of_a_prefix():
    for order, expected in (("fixed", ["composer=NA", "note_density=<4", "CONTROL_SEP"]), ("short", None)):
        tokenizer = control(*BOTH, order=order)
        ids = tokenizer.encode(fixed_piece(), {"composer": "Bach", "note_density": 1}).astype(np.uint16)
        left = tokenizer.drop_conditions(ids, ["composer"])
        expected = expected or ["note_density=<4", "CONTROL_SEP"]
        assert left.dtype == np.uint16
        assert words(tokenizer, left, len(expected)) == expected
        assert left[len(expected) :].tolist() == ids[3:].tolist()
        plain = tokenizer.encode(fixed_piece())
        assert tokenizer.drop_conditions(plain, ["composer"]) is plain


def test_control_tokens_take_the_places_of_unused_ids_first():
    names = ["PIANO_0_0", "PIANO_1_0"]
    base = build_tokenizer("absolute")
    tokenizer = control(COMPOSER, base="absolute", in_place_of=names)
    assert tokenizer.control.ids[:2].tolist() == [base.vocab.id_of(name) for name in names]
    assert tokenizer.vocab_size == base.vocab_size + 2
    ids = tokenizer.encode(fixed_piece(), {"composer": "Bach"})
    assert ids[0] == base.vocab.id_of("PIANO_0_0")
    assert tokenizer.decode(ids) == base.decode(base.encode(fixed_piece()))
    assert tokenizer.grammar.accepts([*ids, tokenizer.end_id])
    assert not tokenizer.id_facts.starts_note[ids[0]]
    only = control(COMPOSER, base="absolute", in_place_of=[f"PIANO_{k}_0" for k in range(9)])
    assert (only.vocab_size, only.end_id) == (base.vocab_size, base.end_id)
    with pytest.raises(TokenError, match="'PIANO_0_10' is in use; did you mean 'PIANO_0_0'"):
        control(COMPOSER, base="absolute", in_place_of=["PIANO_0_10"])


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"composr": "Bach"}, "did you mean 'composer'"),
        ({"composer": "Bahc"}, "did you mean 'Bach'"),
        ({"composer": 3}, "there are: Bach, Chopin"),
        ({"note_density": "5"}, "or a number"),
        ({"note_density": float("nan")}, "or a number"),
    ],
)
def test_conditions_that_have_no_id_are_refused(conditions, message):
    with pytest.raises(TokenError, match=message):
        control(*BOTH).prefix(conditions)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ([{"name": "x"}], "expected the values of a label, or the thresholds"),
        ([{"name": "x", "values": ["a"], "thresholds": [1]}], "expected the values of a label, or the thresholds"),
        ([{"name": "x", "values": ["a", "a"]}], "'a' has an id already"),
        ([{"name": "x", "values": ["NA"]}], "'NA' has an id already"),
        ([{"name": "x=y", "values": ["a"]}], "no '='"),
        ([{"name": "note_density", "thresholds": [2, 2]}], "rising"),
        ([{"name": "x", "values": ["a"], "measured_by": "note_density"}], "needs thresholds"),
        ([COMPOSER, COMPOSER], "attribute 'composer': stands there twice"),
        ([{"name": "note_densty", "thresholds": [2]}], "did you mean 'note_density'"),
    ],
)
def test_attributes_that_contradict_themselves_are_refused(attributes, message):
    with pytest.raises(SettingsError, match=message):
        control(*attributes)


def test_bases_that_cannot_carry_a_prefix_are_refused():
    with pytest.raises(SettingsError, match="one prefix is enough"):
        control(COMPOSER, base="control")
    with pytest.raises(TokenError, match="ids a step"):
        control(COMPOSER, base="octuple")
