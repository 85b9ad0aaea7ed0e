"""What every tokenizer says of its ids agrees with what its ids do."""

import numpy as np
import pytest
from token_scores import fixed_piece

from etude.tokens import TOKENIZERS, build_tokenizer
from etude.tokens.id_facts import DRUMS, NO_INSTRUMENT, NO_PITCH


@pytest.fixture(params=sorted(TOKENIZERS), scope="module")
def tokenizer(request):
    return build_tokenizer(request.param)


def test_each_fact_has_a_value_for_each_id(tokenizer):
    facts = tokenizer.id_facts
    assert all(column.shape == (tokenizer.vocab_size,) for column in facts)
    assert [column.dtype.kind for column in facts] == ["i", "i", "b", "b", "b", "b"]
    assert ((facts.pitch >= NO_PITCH) & (facts.pitch < 128)).all()
    assert ((facts.instrument >= NO_INSTRUMENT) & (facts.instrument <= DRUMS)).all()
    assert not (facts.starts_note & facts.ends_note).any() or tokenizer.kind == "bpe"


def test_a_note_begins_as_often_as_there_are_notes(tokenizer):
    ids = tokenizer.encode(fixed_piece())
    facts = tokenizer.id_facts
    num_notes = tokenizer.measure(ids)[0]
    assert num_notes
    assert np.count_nonzero(facts.starts_note[ids]) == num_notes
    assert np.count_nonzero(facts.ends_note[ids]) in (0, num_notes)


def test_the_pitches_of_ids_are_those_of_the_notes(tokenizer):
    ids = tokenizer.encode(fixed_piece())
    named = tokenizer.id_facts.pitch[ids]
    assert set(named[named != NO_PITCH].tolist()) == set(tokenizer.decode(ids).notes.pitch.tolist())


def test_the_end_and_padding_mean_nothing(tokenizer):
    for token_id in (tokenizer.end_id, tokenizer.pad_id):
        values = [column[token_id] for column in tokenizer.id_facts]
        assert values == [NO_PITCH, NO_INSTRUMENT, False, False, False, False]
