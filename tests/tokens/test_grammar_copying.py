"""Grammars whose ids copy cells, on one small enough to check by hand."""

import itertools

import numpy as np
import pytest

from etude.tokens.grammar import Rule
from etude.tokens.grammar_copying import CopyingGrammar, CopyingRule

FIRST, SECOND = range(2)


@pytest.fixture(scope="module")
def grammar():
    """Ids 0..2 say a number, id 3 swaps the two that are remembered, id 4 says that the first is the larger."""
    return CopyingGrammar.of(
        vocab_size=5,
        initial=[0, 0],
        rules=[
            *(CopyingRule(ids=[v], copies=[(SECOND, FIRST)], clears=[FIRST], adds=[(FIRST, v)]) for v in range(3)),
            CopyingRule(ids=[3], copies=[(FIRST, SECOND), (SECOND, FIRST)]),
            Rule(ids=[4], needs=[(FIRST, 2, 2), (SECOND, 0, 1)]),
        ],
    )


def spoken(ids):
    """Return what is remembered after ids, and the place of the first that may not stand there."""
    first = second = 0
    wrong = None
    for place, token_id in enumerate(ids):
        if token_id < 3:
            first, second = token_id, first
        elif token_id == 3:
            first, second = second, first
        elif wrong is None and not (first == 2 and second < 2):
            wrong = place
    return [first, second], wrong


def test_copies_are_made_at_once_and_before_the_rest(grammar):
    for length in range(5):
        for ids in itertools.product(range(5), repeat=length):
            state, wrong = spoken(ids)
            assert grammar.after(ids).tolist() == state, ids
            assert grammar.first_illegal(ids) == wrong, ids


def test_a_batch_of_states_moves_like_each_alone(grammar):
    state = grammar.advance(grammar.start((2, 3)), np.array([[0, 1, 2], [2, 2, 1]]))
    ids = np.array([[3, 2, 3], [1, 3, 0]])
    before = state.copy()
    moved = grammar.advance(state, ids)
    assert (state == before).all()
    for index in np.ndindex(2, 3):
        assert moved[index].tolist() == grammar.advance(state[index], ids[index]).tolist()


def test_ids_that_stand_for_sequences_copy_as_these_do(grammar):
    sequences = [[1, 3], [2, 4, 0], [3, 3, 4]]
    merged = grammar.merged(sequences)
    for length in range(4):
        for ids in itertools.product(range(8), repeat=length):
            told = [one for token_id in ids for one in (sequences[token_id - 5] if token_id > 4 else [token_id])]
            state, wrong = spoken(told)
            assert merged.after(ids).tolist() == state, ids
            assert merged.accepts(ids) == (wrong is None), ids
