"""Ids that stand for sequences: legal where the sequence is, leading where it leads, on any automaton."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.tokens.grammar import ANY, Grammar, Rule
from etude.tokens.grammar_copying import CopyingGrammar, CopyingRule

CELLS = 3
value = st.integers(0, 3)
bound = st.one_of(st.just(None), st.integers(-1, 4))


@st.composite
def any_rule(draw, token_id):
    needs = []
    for cell in draw(st.lists(st.integers(0, CELLS - 1), max_size=3)):
        low, high = draw(bound), draw(bound)
        needs.append((cell, -ANY if low is None else low, ANY if high is None else high))
    doubled = draw(st.sets(st.integers(0, CELLS - 1), max_size=2))
    cleared = draw(st.sets(st.integers(0, CELLS - 1), max_size=1)) - doubled
    cell = st.integers(0, CELLS - 1)
    return CopyingRule(
        copies=sorted(draw(st.dictionaries(cell, cell, max_size=2)).items()),
        ids=[token_id],
        needs=needs,
        clears=sorted(cleared),
        multiplies=[(np.array(sorted(doubled), int), draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 4])))],
        adds=draw(st.lists(st.tuples(st.integers(0, CELLS - 1), value), max_size=2)),
    )


@st.composite
def any_grammar(draw):
    rules = [draw(any_rule(token_id)) for token_id in range(draw(st.integers(1, 4)))]
    kind = draw(st.sampled_from([Grammar, CopyingGrammar]))  # the plain one makes no copies
    # the last id has no rule and is never legal
    return kind.of(vocab_size=len(rules) + 1, initial=[draw(value) for _ in range(CELLS)], rules=rules)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), grammar=any_grammar())
def test_a_merged_id_is_its_sequence(data, grammar):
    ids = st.integers(0, grammar.vocab_size - 1)
    sequences = data.draw(st.lists(st.lists(ids, min_size=1, max_size=6), min_size=1, max_size=5))
    state = np.array(data.draw(st.lists(value, min_size=CELLS, max_size=CELLS)), np.int32)
    merged = grammar.merged(sequences)
    legal = merged.legal(state)
    assert legal[: grammar.vocab_size].tolist() == grammar.legal(state).tolist()
    for token_id in range(grammar.vocab_size):
        assert merged.advance(state, token_id).tolist() == grammar.advance(state, token_id).tolist()
    for place, sequence in enumerate(sequences, grammar.vocab_size):
        expected, spoken = True, state
        for token_id in sequence:
            expected &= bool(grammar.legal(spoken)[token_id])
            spoken = grammar.advance(spoken, token_id)
        assert bool(legal[place]) == expected
        assert merged.advance(state, place).tolist() == spoken.tolist()


def test_a_cell_that_is_doubled_without_end_stays_within_32_bits():
    grammar = Grammar.of(
        vocab_size=2,
        initial=[0],
        rules=[Rule(ids=[0], multiplies=[(np.array([0]), 2, 2)]), Rule(ids=[1], needs=[(0, 2, 2)], adds=[(0, -2)])],
    )
    merged = grammar.merged([[0] * 80, [*[0] * 80, 1]])
    for start in range(3):
        state = np.array([start], np.int32)
        assert merged.advance(state, 2).tolist() == [min(2, 2 * start)]
        assert merged.legal(state).tolist() == [True, start == 2, True, start > 0]


def test_a_need_that_grows_out_of_reach_is_never_met():
    grammar = Grammar.of(vocab_size=1, initial=[0], rules=[Rule(ids=[0], needs=[(0, 0, 3)], adds=[(0, 1)])])
    merged = grammar.merged([[0] * 4, [0] * 5])
    assert merged.legal(grammar.start()).tolist() == [True, True, False]


def test_nothing_merged_is_the_same_grammar():
    grammar = Grammar.of(vocab_size=1, initial=[0], rules=[Rule(ids=[0])])
    assert grammar.merged([]) is grammar


def test_many_merged_ids_share_what_they_do_to_cells():
    grammar = Grammar.of(
        vocab_size=3,
        initial=[0, 0],
        rules=[Rule(ids=[0], adds=[(0, 1)]), Rule(ids=[1], clears=[0]), Rule(ids=[2], clears=[1])],
    )
    merged = grammar.merged([[0] * length for length in range(2, 30)])
    assert len(merged.scale) == 3
    assert merged.vocab_size == 31


@pytest.mark.parametrize("count", [1, 700])
def test_more_sequences_than_are_worked_on_at_once_are_merged_alike(count, monkeypatch):
    from etude.tokens import grammar_merging

    monkeypatch.setattr(grammar_merging, "_AT_ONCE", 8)
    grammar = Grammar.of(
        vocab_size=2, initial=[0], rules=[Rule(ids=[0], adds=[(0, 1)]), Rule(ids=[1], needs=[(0, 1, ANY)])]
    )
    merged = grammar.merged([[0, 1, 1][: 1 + place % 3] for place in range(count)])
    assert merged.vocab_size == 2 + count
    assert merged.legal(grammar.start())[2:].all()
    assert merged.advance(grammar.start(), 1 + count).tolist() == [1]
