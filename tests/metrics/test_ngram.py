"""N-gram baselines: exact, normalised, better with more context where there is structure."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from etude.metrics.ngram import NGram

VOCAB_SIZE, END = 12, 0


def structured_pieces(count, *, seed, length=200):
    """Draw pieces in which two ids tell much about the third."""
    rng = np.random.default_rng(seed)
    table = np.random.default_rng(7).dirichlet(np.full(VOCAB_SIZE - 1, 0.1), size=(VOCAB_SIZE, VOCAB_SIZE))
    pieces = []
    for _ in range(count):
        ids = [END, END]
        for _ in range(int(rng.integers(1, length))):
            ids.append(1 + int(rng.choice(VOCAB_SIZE - 1, p=table[ids[-2], ids[-1]])))
        pieces.append(np.array(ids[2:]))
    return pieces


class Textbook:
    """The same model, written as the equations stand, on dictionaries."""

    def __init__(self, pieces, order):
        self.order, self.counts = order, [Counter() for _ in range(order + 1)]
        for ids in pieces:
            stream = (END, *ids.tolist(), END)
            for end in range(1, len(stream)):
                for k in range(1, min(order, end + 1) + 1):
                    self.counts[k][stream[end - k + 1 : end + 1]] += 1
        for k in range(1, order):
            left = defaultdict(set)
            for gram in self.counts[k + 1]:
                left[gram[1:]].add(gram[0])
            self.counts[k] = {gram: len(left[gram]) or count for gram, count in self.counts[k].items()}

    def discount(self, k, count):
        n = [sum(c == i for c in self.counts[k].values()) for i in range(5)]
        found = [0.5, 1.0, 1.5]
        if min(n[1:]) > 0:
            y = n[1] / (n[1] + 2 * n[2])
            estimated = [i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)]
            if all(0 <= d <= i + 1 for i, d in enumerate(estimated)):
                found = estimated
        return found[min(count, 3) - 1]

    def probability(self, context, token):
        if context is None:
            return 1 / VOCAB_SIZE
        k = len(context) + 1
        after = {gram: c for gram, c in self.counts[k].items() if gram[:-1] == context}
        lower = self.probability(context[1:] if context else None, token)
        if not after:
            return lower
        total = sum(after.values())
        spare = sum(self.discount(k, c) for c in after.values())
        count = after.get((*context, token), 0)
        return (count - (self.discount(k, count) if count else 0) + spare * lower) / total

    def nats(self, ids):
        stream = (END, *ids.tolist(), END)
        context = [stream[max(0, end - self.order + 1) : end] for end in range(1, len(stream))]
        return [-np.log(self.probability(c, token)) for c, token in zip(context, stream[1:], strict=True)]


def fit(pieces, order):
    return NGram.fit(pieces, order=order, vocab_size=VOCAB_SIZE, end_id=END)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_tables_say_what_the_equations_say(order):
    train, held_out = structured_pieces(12, seed=0, length=60), structured_pieces(3, seed=1, length=30)
    model, textbook = fit(train, order), Textbook(train, order)
    for ids in held_out:
        np.testing.assert_allclose(model.nats(ids), textbook.nats(ids), rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_probabilities_sum_to_one_after_any_context(order):
    model = fit(structured_pieces(10, seed=0), order)
    rng = np.random.default_rng(2)
    for length in (0, 1, 2, 3, 4, 9):
        for _ in range(10):
            context = rng.integers(0, VOCAB_SIZE, length)
            found = model.probabilities(context)
            assert found.min() > 0
            assert found.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_nats_are_the_logarithms_of_the_probabilities(order):
    model = fit(structured_pieces(10, seed=0), order)
    ids = structured_pieces(1, seed=5)[0][:40]
    targets = [*ids.tolist(), END]
    expected = [-np.log(model.probabilities(ids[:t])[target]) for t, target in enumerate(targets)]
    np.testing.assert_allclose(model.nats(ids), expected, rtol=1e-12)


def test_a_unigram_model_is_discounted_counts_plus_equal_shares():
    # counts: id 1 three times, id 2 twice, the end once; n4 = 0, so discounts are 0.5, 1 and 1.5
    model = NGram.fit([np.array([1, 1, 1, 2, 2])], order=1, vocab_size=5, end_id=0)
    spare = (0.5 + 1.0 + 1.5) / 6 / 5
    expected = np.array([0.5 / 6, 1.5 / 6, 1.0 / 6, 0, 0]) + spare
    np.testing.assert_allclose(model.probabilities(np.array([2])), expected)


def test_more_context_lowers_the_loss_where_there_is_structure():
    train, held_out = structured_pieces(100, seed=0), structured_pieces(20, seed=1)
    losses = [np.concatenate([fit(train, n).nats(ids) for ids in held_out]).mean() for n in (1, 2, 3)]
    assert losses[0] > losses[1] > losses[2] + 0.3


def test_longer_contexts_hardly_hurt_where_there_is_nothing_more_to_know():
    train, held_out = structured_pieces(100, seed=0), structured_pieces(20, seed=1)
    three, five = (np.concatenate([fit(train, n).nats(ids) for ids in held_out]).mean() for n in (3, 5))
    assert five < three + 0.1


def test_contexts_do_not_reach_across_pieces():
    pieces = structured_pieces(6, seed=0)
    ids = structured_pieces(1, seed=3)[0]
    np.testing.assert_array_equal(fit(pieces, 5).nats(ids), fit(pieces[::-1], 5).nats(ids))


def test_an_empty_piece_is_one_end_and_short_pieces_make_short_contexts():
    model = fit([np.array([], int), np.array([3])], 5)
    assert model.nats(np.array([], int)).shape == (1,)
    assert model.probabilities(np.array([3, 3, 3, 3, 3])).sum() == pytest.approx(1)


def test_large_vocabularies_fit():
    ids = np.random.default_rng(0).integers(1, 70_000, 500)
    model = NGram.fit([ids], order=5, vocab_size=70_000, end_id=0)
    assert model.nats(ids).mean() < np.log(70_000)
    assert model.probabilities(ids[:7]).sum() == pytest.approx(1)


def test_ids_outside_the_vocabulary_no_pieces_and_order_zero_are_refused():
    with pytest.raises(ValueError, match="expected 0 to 11"):
        fit([np.array([12])], 2)
    with pytest.raises(ValueError, match="no pieces"):
        fit([], 2)
    with pytest.raises(ValueError, match="at least 1"):
        fit([np.array([1])], 0)
    with pytest.raises(ValueError, match="expected 0 to 11"):
        fit([np.array([1])], 2).nats(np.array([-1]))
