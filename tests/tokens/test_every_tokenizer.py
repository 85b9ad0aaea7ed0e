"""What every tokenizer promises; a new line in TOKENIZERS is tested without a change here.

The golden file of a tokenizer holds the ids of one piece, so that no change of ids goes unseen. Write it with
``python tests/tokens/test_every_tokenizer.py KIND``, and raise the tokenizer's ``revision`` when ids change.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from token_scores import any_score, fixed_piece

from etude.errors import SettingsError, TokenError
from etude.music.check import check_score
from etude.music.midi import midi_bytes, read_midi
from etude.music.score import Score
from etude.tokens import TOKENIZERS, build_tokenizer, tokenizer_from_json

GOLDEN = Path(__file__).parent / "golden"
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=sorted(TOKENIZERS), scope="module")
def tokenizer(request):
    return build_tokenizer(request.param)


def laid_end_to_end(tokenizer, ids):
    """Return ids and END as the grammar reads them: of compound ids, one codebook after the other."""
    return [*np.asarray(ids).ravel().tolist(), *[tokenizer.end_id] * tokenizer.num_codebooks]


def in_steps(tokenizer, ids):
    """Return ids that were laid end to end as they are decoded; of a step that has begun, nothing."""
    count = tokenizer.num_codebooks
    return ids if count == 1 else np.array(ids[: len(ids) // count * count]).reshape(-1, count)


def golden_of(tokenizer):
    return {"hash": tokenizer.hash, "ids": tokenizer.encode(fixed_piece()).tolist()}


@some
@given(score=any_score())
def test_ids_are_rows_of_int32_within_the_vocabulary_and_without_end(tokenizer, score):
    ids = tokenizer.encode(score)
    assert ids.dtype == np.int32
    assert ids.shape[1:] == (() if tokenizer.num_codebooks == 1 else (tokenizer.num_codebooks,))
    assert not np.isin(ids, [tokenizer.end_id, tokenizer.pad_id]).any()
    assert ((ids >= 0) & (ids < tokenizer.vocab_size)).all()


@some
@given(score=any_score())
def test_encoding_what_was_decoded_gives_the_same_ids(tokenizer, score):
    ids = tokenizer.encode(score)
    assert tokenizer.encode(tokenizer.decode(ids)).tolist() == ids.tolist()


@some
@given(data=st.data())
def test_any_ids_decode_to_a_valid_score_that_a_midi_file_keeps(tokenizer, data):
    """covers: MT-5"""
    one = st.integers(0, tokenizer.vocab_size - 1)
    count = tokenizer.num_codebooks
    step = one if count == 1 else st.lists(one, min_size=count, max_size=count)
    ids = data.draw(st.lists(step, max_size=200))
    score = tokenizer.decode(ids)
    assert check_score(score) == []
    assert ((score.notes.velocity >= 1) & (score.notes.velocity <= 127)).all()
    assert read_midi(midi_bytes(score)).notes == score.notes
    again = tokenizer.encode(score)
    assert tokenizer.encode(tokenizer.decode(again)).tolist() == again.tolist()


@some
@given(score=any_score())
def test_every_encoding_is_legal_to_its_end(tokenizer, score):
    ids = laid_end_to_end(tokenizer, tokenizer.encode(score))
    assert tokenizer.grammar.first_illegal(ids) is None
    assert not tokenizer.grammar.legal(tokenizer.grammar.after(ids)).any()


@pytest.mark.parametrize("seed", range(4))
def test_random_legal_walks_decode_to_valid_scores_without_padding(tokenizer, seed):
    rng = np.random.default_rng(seed)
    grammar, state, ids = tokenizer.grammar, tokenizer.grammar.start(), []
    for _ in range(400):
        legal = np.flatnonzero(grammar.legal(state))
        longer = legal[legal != tokenizer.end_id]
        ids.append(int(rng.choice(longer if len(longer) else legal)))
        if ids[-1] == tokenizer.end_id:
            break
        state = grammar.advance(state, ids[-1])
    assert tokenizer.pad_id not in ids
    assert check_score(tokenizer.decode(in_steps(tokenizer, ids))) == []
    assert grammar.accepts(ids)


@some
@given(score=any_score(with_drums=False), semitones=st.integers(-30, 30))
def test_transposed_ids_are_the_ids_of_the_transposed_score(tokenizer, score, semitones):
    ids = tokenizer.encode(score)
    moved = tokenizer.transpose_ids(ids, semitones)
    pitch = score.notes.pitch + semitones
    if not tokenizer.transposes_exactly:
        return
    if ((pitch < 0) | (pitch > 127)).any():
        assert moved is None
    else:
        assert moved.dtype == ids.dtype
        assert moved.tolist() == tokenizer.encode(replace(score, notes=score.notes.replace(pitch=pitch))).tolist()


def test_a_span_measures_the_notes_and_the_seconds_of_what_it_decodes_to(tokenizer):
    ids = tokenizer.encode(fixed_piece())
    num_notes, seconds = tokenizer.measure(ids)
    decoded = tokenizer.decode(ids)
    assert num_notes == len(decoded.notes)
    assert seconds == pytest.approx(decoded.duration_sec)
    if not tokenizer.measures_spans:
        return
    half = len(ids) // 2
    parts = [tokenizer.measure(ids[:half]), tokenizer.measure(ids[half:])]
    assert np.sum(parts, axis=0) == pytest.approx([num_notes, seconds])


def test_nothing_measures_nothing(tokenizer):
    assert tokenizer.measure(tokenizer.encode(Score.of())) == (0, 0.0)


LOST = {"tempo", "metre", "key", "velocity", "pedal", "tracks", "drums", "programs", "controls", "texts"}


def test_a_tokenizer_says_what_it_loses_in_known_words(tokenizer):
    assert set(tokenizer.loses) <= LOST
    assert len(set(tokenizer.loses)) == len(tokenizer.loses)


def test_an_empty_score_has_no_ids_and_comes_back_empty(tokenizer):
    ids = tokenizer.encode(Score.of())
    assert len(ids) == 0
    assert len(tokenizer.decode(ids).notes) == 0


def test_ids_outside_the_vocabulary_are_refused_in_one_line(tokenizer):
    wrong = ([0, tokenizer.vocab_size], [-1], [0.5], [[1, 2]])
    for ids in wrong if tokenizer.num_codebooks == 1 else [[row] * tokenizer.num_codebooks for row in wrong[:3]]:
        with pytest.raises(TokenError, match=r"^ids[^\n]*expected[^\n]*$"):
            tokenizer.decode(ids)


def test_the_fixed_piece_has_the_ids_on_record(tokenizer):
    path = GOLDEN / f"{tokenizer.kind}.json"
    assert path.exists(), f"no ids on record: python tests/tokens/test_every_tokenizer.py {tokenizer.kind}"
    assert golden_of(tokenizer) == json.loads(path.read_text())


def test_json_brings_back_an_equal_tokenizer(tokenizer):
    described = json.loads(json.dumps(tokenizer.to_json()))
    again = tokenizer_from_json(described)
    assert again.to_json() == tokenizer.to_json()
    assert again.hash == tokenizer.hash
    assert again.settings == tokenizer.settings
    assert described["schema"] == "etude-tokenizer"


def test_json_of_another_hash_schema_or_shape_is_refused(tokenizer):
    described = tokenizer.to_json()
    for change in ({"hash": "0" * 16}, {"schema": "other"}, {"version": 99}):
        with pytest.raises(TokenError, match="encode again"):
            tokenizer_from_json(described | change)
    for broken in ({}, [], {name: described[name] for name in ("schema", "version")}):
        with pytest.raises(TokenError, match="encode again"):
            tokenizer_from_json(broken)


def test_an_unknown_setting_is_refused_by_name(tokenizer):
    with pytest.raises(SettingsError, match=r"tokenizer\.no_such"):
        build_tokenizer(tokenizer.kind, no_such=1)


def test_names_and_ids_are_one_to_one(tokenizer):
    vocab = tokenizer.vocab
    assert len(vocab) == tokenizer.vocab_size == tokenizer.grammar.vocab_size
    assert [vocab.id_of(name) for name in vocab.names] == list(range(len(vocab)))
    assert vocab.names[tokenizer.end_id] == "END"
    assert vocab.names[tokenizer.pad_id] == "PAD"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / f"{sys.argv[1]}.json").write_text(json.dumps(golden_of(build_tokenizer(sys.argv[1]))) + "\n")
