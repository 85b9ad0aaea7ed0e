"""The automaton by itself, on a grammar small enough to check by hand."""

import itertools

import numpy as np
import pytest

from etude.tokens.grammar import ANY, Grammar, Rule

OPEN, CLOSE, STOP, NEVER = range(4)
DEPTH, ENDED = range(2)


@pytest.fixture(scope="module")
def brackets():
    return Grammar.of(
        vocab_size=4,
        initial=[0, 0],
        rules=[
            Rule(ids=[OPEN], needs=[(DEPTH, 0, 2), (ENDED, 0, 0)], adds=[(DEPTH, 1)]),
            Rule(ids=[CLOSE], needs=[(DEPTH, 1, ANY), (ENDED, 0, 0)], adds=[(DEPTH, -1)]),
            Rule(ids=[STOP], needs=[(DEPTH, 0, 0), (ENDED, 0, 0)], adds=[(ENDED, 1)]),
        ],
    )


def spoken(ids):
    """Return the place of the first bracket that may not stand there, by the definition."""
    depth, ended = 0, False
    for place, token_id in enumerate(ids):
        allowed = {OPEN: depth <= 2, CLOSE: depth >= 1, STOP: depth == 0, NEVER: False}
        if ended or not allowed[token_id]:
            return place
        depth += {OPEN: 1, CLOSE: -1}.get(token_id, 0)
        ended = token_id == STOP
    return None


def test_all_short_sequences_are_judged_as_the_definition_judges_them(brackets):
    for length in range(6):
        for ids in itertools.product(range(4), repeat=length):
            assert brackets.first_illegal(ids) == spoken(ids), ids
            assert brackets.accepts(ids) == (spoken(ids) is None)


def test_legal_ids_are_those_that_extend_a_legal_beginning(brackets):
    for ids in itertools.product(range(3), repeat=4):
        if spoken(ids) is None:
            legal = brackets.legal(brackets.after(ids))
            assert legal.tolist() == [spoken([*ids, token_id]) is None for token_id in range(4)]


def test_a_batch_of_states_moves_like_each_alone(brackets):
    state = brackets.start((2, 3))
    ids = np.array([[OPEN, STOP, OPEN], [OPEN, OPEN, STOP]])
    state = brackets.advance(state, ids)
    assert brackets.legal(state).shape == (2, 3, 4)
    for index in np.ndindex(2, 3):
        assert state[index].tolist() == brackets.after([ids[index]]).tolist()
        assert brackets.legal(state)[index].tolist() == brackets.legal(state[index]).tolist()


def test_states_given_are_not_changed(brackets):
    state = brackets.start()
    brackets.advance(state, OPEN)
    assert state.tolist() == brackets.start().tolist() == [0, 0]


def test_cells_are_cleared_and_multiplied_to_a_cap_before_adding():
    grammar = Grammar.of(
        vocab_size=2,
        initial=[1, 1, 5],
        rules=[
            Rule(ids=[0], multiplies=[(np.array([0, 1]), 2, 3)], adds=[(0, 10), (0, 1), (1, -1)]),
            Rule(ids=[1], clears=[2], adds=[(2, 4)]),
        ],
    )
    state = grammar.advance(grammar.start(), 0)
    assert state.tolist() == [13, 1, 5]
    assert grammar.advance(state, 1).tolist() == [13, 1, 4]
    assert grammar.after([0, 1]).tolist() == [13, 1, 4]
