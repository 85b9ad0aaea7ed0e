"""The tokenizer with learned merges, over every tokenizer that has one id a step."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from token_scores import any_score, fixed_piece

from etude.errors import SettingsError, TokenError
from etude.music.check import check_score
from etude.music.score import Score
from etude.tokens import TOKENIZERS, build_tokenizer, tokenizer_from_json
from etude.tokens.bpe_learn import learn_merges
from etude.tokens.bpe_words import WordCounts

BASES = sorted(kind for kind in TOKENIZERS if kind not in ("bpe", "control"))
some = settings(max_examples=10, deadline=None)


def learned(base, *, within="note", num_merges=40):
    """Return a tokenizer with merges learned from the fixed piece in several keys, or None for several ids a step."""
    if build_tokenizer(base).num_codebooks != 1:
        return None
    plain, words, piece = build_tokenizer("bpe", base=base, within=within), WordCounts(), fixed_piece()
    for semitones in (0, 1, 0, 5, 0):
        moved = replace(piece, notes=piece.notes.replace(pitch=piece.notes.pitch + semitones))
        ids = plain.base.encode(moved)
        words.add(ids, plain.word_starts(ids))
    merges = learn_merges(words.words(), vocab_size=plain.base.vocab_size, num_merges=num_merges)
    return plain.with_merges(merges)


@pytest.fixture(params=BASES, scope="module")
def tokenizer(request):
    made = learned(request.param, within="piece")
    if made is None:
        pytest.skip("several ids a step")
    return made


def test_merges_make_pieces_shorter_and_lose_nothing(tokenizer):
    ids, base_ids = tokenizer.encode(fixed_piece()), tokenizer.base.encode(fixed_piece())
    assert len(ids) < 0.9 * len(base_ids)
    assert ids.max() >= tokenizer.base.vocab_size
    assert tokenizer.expand(ids).tolist() == base_ids.tolist()
    decoded, of_base = tokenizer.decode(ids), tokenizer.base.decode(base_ids)
    assert decoded.notes == of_base.notes
    assert tokenizer.measure(ids) == tokenizer.base.measure(base_ids)


@some
@given(data=st.data())
def test_any_merged_ids_decode_to_a_valid_score(tokenizer, data):
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=60))
    assert check_score(tokenizer.decode(ids)) == []


@some
@given(score=any_score())
def test_every_merged_encoding_is_legal_to_its_end(tokenizer, score):
    ids = [*tokenizer.encode(score).tolist(), tokenizer.end_id]
    assert tokenizer.grammar.accepts(ids)
    assert not tokenizer.grammar.legal(tokenizer.grammar.after(ids)).any()


def test_the_mask_is_exactly_that_of_the_base(tokenizer):
    """An id is legal if and only if the ids that it stands for are, one after the other."""
    rng, base, grammar = np.random.default_rng(0), tokenizer.base.grammar, tokenizer.grammar
    state, spoken, used = grammar.start(), base.start(), 0
    for _ in range(100 if tokenizer.vocab_size < 5000 else 40):
        legal = grammar.legal(state)
        assert legal[: base.vocab_size].tolist() == base.legal(spoken).tolist()
        is_merged = np.arange(tokenizer.vocab_size) >= base.vocab_size
        for token_id in np.flatnonzero(is_merged):
            assert legal[token_id] == (spoken_on(base, spoken, tokenizer.expand([token_id])) is not None)
        legal[tokenizer.end_id] = False
        # few ids would otherwise be merged ones
        prefer_merged = rng.random() < 0.7 and (legal & is_merged).any()
        token_id = int(rng.choice(np.flatnonzero(legal & is_merged if prefer_merged else legal)))
        used += is_merged[token_id]
        state = grammar.advance(state, token_id)
        spoken = spoken_on(base, spoken, tokenizer.expand([token_id]))
    assert used


def spoken_on(grammar, state, ids):
    """Return the state after ids, or None if one of them is not legal."""
    for token_id in ids:
        value = state[grammar.need_cell[token_id]]
        if (value < grammar.need_low[token_id]).any() or (value > grammar.need_high[token_id]).any():
            return None
        state = grammar.advance(state, int(token_id))
    return state


@some
@given(score=any_score(with_drums=False), semitones=st.integers(-12, 12))
def test_transposed_ids_are_those_of_the_base_merged_anew(tokenizer, score, semitones):
    ids = tokenizer.encode(score)
    moved, of_base = (
        tokenizer.transpose_ids(ids, semitones),
        tokenizer.base.transpose_ids(tokenizer.expand(ids), semitones),
    )
    assert (moved is None) == (of_base is None)
    if moved is not None:
        assert moved.dtype == ids.dtype
        assert moved.tolist() == tokenizer.merge(of_base).tolist()


@pytest.mark.parametrize("base", BASES)
def test_no_merge_reaches_over_a_note_or_a_bar(base):
    tokenizer = learned(base)
    if tokenizer is None:
        pytest.skip("several ids a step")
    facts = tokenizer.base.id_facts
    assert tokenizer.settings.merges
    for token_id in range(tokenizer.base.vocab_size, tokenizer.vocab_size):
        inside = tokenizer.expand([token_id])[1:]
        assert not facts.opens_bar[inside].any()
        assert not facts.moves_time[inside].any()
        assert facts.ends_note.any() or not facts.starts_note[inside].any()


def test_merges_within_bars_reach_over_notes_but_not_over_bars():
    plain, words = build_tokenizer("bpe", base="remi", within="bar"), WordCounts()
    tick = np.arange(64) * 240
    ids = plain.base.encode(Score.of(tick, np.full(64, 240), 60 + tick // 240 % 4, np.full(64, 80), ppq=480))
    words.add(ids, plain.word_starts(ids))
    tokenizer = plain.with_merges(learn_merges(words.words(), vocab_size=plain.vocab_size, num_merges=60))
    facts = tokenizer.base.id_facts
    inside = [tokenizer.expand([k])[1:] for k in range(tokenizer.base.vocab_size, tokenizer.vocab_size)]
    assert any(facts.starts_note[ids].any() for ids in inside)
    assert not any(facts.opens_bar[ids].any() for ids in inside)


def test_bars_are_refused_where_no_id_begins_one():
    with pytest.raises(SettingsError, match=r"tokenizer\.within = 'bar': no id of the base begins a bar"):
        build_tokenizer("bpe", base="performance", within="bar")


def test_without_merges_ids_are_those_of_the_base():
    tokenizer = build_tokenizer("bpe")
    assert tokenizer.vocab_size == tokenizer.base.vocab_size
    assert tokenizer.encode(fixed_piece()).tolist() == tokenizer.base.encode(fixed_piece()).tolist()
    assert tokenizer.loses == tokenizer.base.loses


def test_a_merged_id_has_the_names_and_the_facts_of_what_it_stands_for():
    tokenizer = build_tokenizer("bpe", merges=[[376, 60], [390, 305], [305, 188]])
    assert tokenizer.vocab.names[390:] == (
        "VELOCITY_20 NOTE_ON_60",
        "VELOCITY_20 NOTE_ON_60 TIME_SHIFT_500",
        "TIME_SHIFT_500 NOTE_OFF_60",
    )
    facts = tokenizer.id_facts
    assert facts.pitch[388:].tolist() == [-1, -1, 60, 60, 60]
    assert facts.starts_note[388:].tolist() == [False, False, True, True, False]
    assert facts.ends_note[388:].tolist() == [False, False, False, False, True]
    assert facts.moves_time[388:].tolist() == [False, False, False, True, True]


def test_the_hash_stands_for_base_words_and_merges():
    makes = [
        {},
        {"merges": [[376, 60]]},
        {"merges": [[376, 61]]},
        {"merges": [[376, 60]], "within": "piece"},
        {"merges": [[376, 60]], "base": {"kind": "performance", "pedal": "ignore"}},
    ]
    assert len({build_tokenizer("bpe", **settings).hash for settings in makes}) == len(makes)


@pytest.mark.parametrize(
    ("merges", "message"),
    [
        ([[376, 390]], r"tokenizer\.merges\[0\] = \[376, 390\]: expected ids below 390"),
        ([[376, -1]], r"tokenizer\.merges\[0\] = \[376, -1\]: expected ids below 390"),
        ([[376, 60], [388, 60]], r"tokenizer\.merges\[1\] = \[388, 60\]: END and PAD are never merged"),
        ([[1, 2], [390, 3], [2, 3], [1, 392]], r"tokenizer\.merges\[3\].*stands for the same ids"),
        ([[1, 2, 3]], r"tokenizer\.merges\.0"),
        (5, r"tokenizer\.merges = 5: expected a list"),
    ],
)
def test_merges_that_do_not_fit_are_refused(merges, message):
    with pytest.raises(SettingsError, match=message):
        build_tokenizer("bpe", merges=merges)


def test_a_base_of_several_ids_a_step_is_refused():
    class Compound:
        kind, num_codebooks = "compound", 8

        def __init__(self, settings):
            pass

    from etude.tokens import bpe

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpe, "tokenizer_of", Compound)
        with pytest.raises(SettingsError, match=r"tokenizer\.base\.kind = 'compound': 8 ids a step"):
            build_tokenizer("bpe")


def test_merges_go_below_a_prefix_and_not_over_it():
    with pytest.raises(SettingsError, match=r"merges would swallow its prefix; make bpe the base of control"):
        build_tokenizer("bpe", base={"kind": "control", "attributes": [{"name": "genre", "values": ["jazz"]}]})


def test_a_piece_of_a_corpus_is_encoded_as_the_base_encodes_it():
    tokenizer, piece = build_tokenizer("bpe", merges=[[376, 60]]), fixed_piece()

    class Row:
        score = piece

    assert tokenizer.encode_piece(Row).tolist() == tokenizer.encode(piece).tolist()
    tokenizer.base.encode_piece = lambda row: np.array([376, 60, 305])
    assert tokenizer.encode_piece(Row).tolist() == [390, 305]
    assert tokenizer.repairs([390, 305]) == tokenizer.base.repairs([376, 60, 305])


def test_a_file_holds_the_whole_tokenizer(tmp_path):
    tokenizer = build_tokenizer("bpe", merges=[[376, 60]])
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer.to_json()))
    again = build_tokenizer("bpe", file=str(path))
    assert again.hash == tokenizer.hash
    assert again.settings == tokenizer.settings  # what was read stands for itself, without the file
    assert tokenizer_from_json(json.loads(json.dumps(again.to_json()))).hash == tokenizer.hash


def test_a_file_that_is_none_or_holds_something_else_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    with pytest.raises(SettingsError, match=r"tokenizer\.json: cannot be read"):
        build_tokenizer("bpe", file=str(path))
    path.write_text("{")
    with pytest.raises(TokenError, match=r"tokenizer\.json: not JSON"):
        build_tokenizer("bpe", file=str(path))
    path.write_text(json.dumps(build_tokenizer("performance").to_json()))
    with pytest.raises(SettingsError, match="a tokenizer of kind 'performance', expected 'bpe'"):
        build_tokenizer("bpe", file=str(path))
    path.write_text(json.dumps(build_tokenizer("bpe").to_json() | {"hash": "0" * 16}))
    with pytest.raises(TokenError, match=r"tokenizer\.json: .*encode again"):
        build_tokenizer("bpe", file=str(path))
    with pytest.raises(SettingsError, match="it holds merges already"):
        build_tokenizer("bpe", file=str(path), merges=[[1, 2]])


def test_an_empty_piece_stays_empty():
    tokenizer = build_tokenizer("bpe", merges=[[376, 60]])
    assert tokenizer.encode(Score.of()).tolist() == []
    assert tokenizer.measure(np.zeros((0, 3), np.uint16)) == (0, 0.0)
    assert tokenizer.measure(np.array([[390, 305], [188, 305]], np.uint16)) == (1, 1.0)
