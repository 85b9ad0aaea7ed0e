"""Grammars on tensors say what the tables say."""

import numpy as np
import pytest
import torch

from etude.generate.constrain import Constraint
from etude.tokens import TOKENIZERS, build_tokenizer


@pytest.fixture(params=sorted(TOKENIZERS), scope="module")
def tokenizer(request):
    return build_tokenizer(request.param)


@pytest.fixture(scope="module")
def grammar(tokenizer):
    return tokenizer.grammar


def test_tensors_and_tables_agree_on_masks_and_states_along_random_walks(grammar):
    rng = np.random.default_rng(0)
    constraint = Constraint(grammar, "cpu")
    state_BC, table_state = constraint.start(3), grammar.start((3,))
    for _ in range(300 if grammar.vocab_size < 10_000 else 60):
        mask_BV = constraint.legal(state_BC)
        assert mask_BV.dtype == torch.bool
        assert np.array_equal(mask_BV.numpy(), grammar.legal(table_state))
        # now and then an id that is not legal: a state is defined all the same
        legal = [np.flatnonzero(row) for row in mask_BV.numpy()]
        ids = np.array([rng.choice(row) if len(row) else 0 for row in legal])
        state_BC = constraint.advance(state_BC, torch.from_numpy(ids))
        table_state = grammar.advance(table_state, ids)
        assert np.array_equal(state_BC.numpy(), table_state)


def test_the_state_after_a_prompt_is_that_of_its_ids_one_by_one(grammar):
    rng = np.random.default_rng(1)
    state, prompt = grammar.start(), []
    for _ in range(50):
        prompt.append(int(rng.choice(np.flatnonzero(grammar.legal(state)))))
        state = grammar.advance(state, prompt[-1])
    constraint = Constraint(grammar)
    state_BC = constraint.start(1)
    for token_id in prompt:
        state_BC = constraint.advance(state_BC, torch.tensor([token_id]))
    assert torch.equal(constraint.after(prompt), state_BC)


def test_advancing_leaves_the_given_states_as_they_are(grammar):
    constraint = Constraint(grammar)
    state_BC = constraint.start(2)
    constraint.advance(state_BC, torch.tensor([0, 1]))
    assert torch.equal(state_BC, constraint.start(2))


def test_a_piece_that_has_ended_has_no_legal_next_id(tokenizer):
    constraint = Constraint(tokenizer.grammar)
    state_BC = constraint.start(1)
    for _ in range(tokenizer.num_codebooks):
        state_BC = constraint.advance(state_BC, torch.tensor([tokenizer.end_id]))
    assert not constraint.legal(state_BC).any()
