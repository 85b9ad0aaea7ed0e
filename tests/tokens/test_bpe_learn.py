"""Learning merges and doing them: as the definition says, in bounded memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_bpe import plain_merged, plain_merges

from etude.tokens import bpe_learn, bpe_pairs
from etude.tokens.bpe_learn import learn_merges
from etude.tokens.bpe_merge import Merger
from etude.tokens.bpe_words import WordCounts, Words

VOCAB = 4
# few ids, so that runs of one id and merges of merges come often
one_word = st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=24)
some_words = st.lists(st.tuples(one_word, st.integers(1, 3)), min_size=1, max_size=8)


def columns(words):
    return Words(
        ids=np.array([token_id for ids, _ in words for token_id in ids], np.int32),
        length=np.array([len(ids) for ids, _ in words]),
        count=np.array([count for _, count in words]),
    )


def starts_of(words):
    return np.cumsum([0, *(len(ids) for ids in words)])[:-1]


@settings(max_examples=150, deadline=None)
@given(words=some_words, longest=st.integers(2, 12))
def test_learned_merges_are_those_of_the_definition(words, longest):
    asked = {"vocab_size": VOCAB, "num_merges": 30, "longest": longest}
    assert learn_merges(columns(words), **asked) == plain_merges(words, **asked)


@settings(max_examples=150, deadline=None)
@given(words=some_words, watched=st.integers(1, 4), together=st.integers(1, 5))
def test_merges_do_not_depend_on_how_many_pairs_are_watched(words, watched, together):
    asked = {"vocab_size": VOCAB, "num_merges": 30}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpe_pairs, "_WATCHED", watched)
        patch.setattr(bpe_pairs, "PART", together)
        patch.setattr(bpe_learn, "PART", together)
        assert learn_merges(columns(words), **asked) == plain_merges(words, **asked)


def test_merges_are_those_of_the_definition_when_most_pairs_are_not_watched(monkeypatch):
    monkeypatch.setattr(bpe_pairs, "_WATCHED", 12)
    rng = np.random.default_rng(0)
    # some ids are much more frequent than others, so pairs come back after they were not watched
    words = [
        ((rng.random(rng.integers(2, 30)) ** 3 * 40).astype(int).tolist(), int(rng.integers(1, 4))) for _ in range(120)
    ]
    asked = {"vocab_size": 40, "num_merges": 120}
    assert learn_merges(columns(words), **asked) == plain_merges(words, **asked)


@settings(max_examples=150, deadline=None)
@given(words=some_words, others=st.lists(one_word, min_size=1, max_size=8))
def test_words_are_merged_as_the_definition_merges_each(words, others):
    merges = plain_merges(words, vocab_size=VOCAB, num_merges=30)
    expected = [token_id for ids in others for token_id in plain_merged(ids, merges, vocab_size=VOCAB)]
    given_ids = np.array([token_id for ids in others for token_id in ids])
    assert Merger(merges, VOCAB).merge(given_ids, starts_of(others)).tolist() == expected


def test_merges_are_those_of_the_tokenizers_library():
    library = pytest.importorskip("tokenizers", reason="the library tokenizers is not installed")
    rng = np.random.default_rng(0)
    # neighbours depend on each other, and no spelling can be made in two ways that both come up
    words = [np.cumsum(rng.integers(1, 4, rng.integers(2, 12))) % 40 for _ in range(3000)]
    ours = learn_merges(columns([(ids.tolist(), 1) for ids in words]), vocab_size=40, num_merges=60)

    def letters(ids):
        return "".join(chr(0x100 + token_id) for token_id in ids)

    trainer = library.trainers.BpeTrainer(
        vocab_size=100, min_frequency=2, show_progress=False, initial_alphabet=list(letters(range(40)))
    )
    model = library.Tokenizer(library.models.BPE())
    model.pre_tokenizer = library.pre_tokenizers.WhitespaceSplit()
    model.train_from_iterator([" ".join(letters(ids) for ids in words)], trainer)
    spelt = [letters([token_id]) for token_id in range(40)]
    for left, right in ours:
        spelt.append(spelt[left] + spelt[right])
    theirs = sorted(model.get_vocab().items(), key=lambda item: item[1])
    assert spelt == [spelling for spelling, _ in theirs]


def test_a_pair_that_comes_once_is_not_merged():
    assert learn_merges(columns([([0, 1, 2], 1)]), vocab_size=3, num_merges=5) == []
    assert learn_merges(columns([([0, 1], 2)]), vocab_size=3, num_merges=5) == [(0, 1)]
    assert learn_merges(columns([([0, 1], 2)]), vocab_size=3, num_merges=5, min_count=3) == []


def test_counts_beyond_32_bits_are_counted():
    words = columns([([0, 1, 1], 1 << 33), ([2, 2], (1 << 33) + 1)])
    assert learn_merges(words, vocab_size=3, num_merges=2) == [(2, 2), (0, 1)]


def test_nothing_to_learn_from_gives_no_merges():
    assert learn_merges(WordCounts().words(), vocab_size=3, num_merges=5) == []
    assert Merger([], 3).merge(np.array([1, 2, 2]), np.array([0])).tolist() == [1, 2, 2]
    assert Merger([(0, 1)], 3).merge(np.array([], np.int64), np.array([], np.int64)).tolist() == []


def stream(num_pieces, *, seed=0):
    """Yield pieces of 200 words: most are few and frequent, the rest are new each time."""
    rng = np.random.default_rng(seed)
    for _ in range(num_pieces):
        words = np.where(rng.random((200, 1)) < 0.7, rng.integers(0, 9, (200, 1)), rng.integers(9, 60, (200, 5)))
        yield words.ravel(), np.arange(0, 1000, 5)


def pair_counts(words):
    row = np.repeat(words.count, words.length)
    inside = np.repeat(np.arange(len(words.length)), words.length)
    same = inside[1:] == inside[:-1]
    return np.bincount((words.ids[:-1] * 60 + words.ids[1:])[same], row[1:][same], minlength=3600)


def test_all_words_are_counted_while_they_fit():
    counts = WordCounts()
    for ids, starts in stream(40):
        counts.add(ids, starts)
    words = counts.words()
    assert counts.threshold == 1
    assert words.count.sum() == 40 * 200
    spelt = [tuple(ids) for ids in np.split(words.ids, np.cumsum(words.length)[:-1])]
    assert len(set(spelt)) == len(spelt)
    held = dict(zip(spelt, words.count.tolist(), strict=True))
    first, _ = next(stream(1))
    assert held[tuple(first[:5])] >= 1


def test_thinned_words_stand_for_all_of_them():
    every, thinned = WordCounts(), WordCounts(most_ids=100_000)
    for ids, starts in stream(3000):
        every.add(ids, starts)
        thinned.add(ids, starts)
    exact, estimated = pair_counts(every.words()), pair_counts(thinned.words())
    assert thinned.threshold > 1
    assert len(thinned.words().ids) <= 100_000
    assert estimated.sum() == pytest.approx(exact.sum(), rel=0.02)
    there = exact > 0
    # of c words about c / t are kept, so their count is off by about sqrt(c * t)
    error = (estimated - exact)[there] / np.sqrt(exact[there] * thinned.threshold)
    assert abs(error.mean()) < 0.05
    assert 0.2 < error.std() < 1.2
    frequent = exact > 100_000  # pairs inside words that come all the time
    assert np.count_nonzero(frequent) == 9
    assert estimated[frequent] == pytest.approx(exact[frequent], rel=0.001)


def test_the_same_stream_gives_the_same_words():
    first, second = WordCounts(most_ids=50_000), WordCounts(most_ids=50_000)
    for ids, starts in stream(2000):
        first.add(ids, starts)
        second.add(ids, starts)
    for one, other in zip(first.words(), second.words(), strict=True):
        assert one.tolist() == other.tolist()


def test_memory_of_counting_does_not_grow_with_the_stream():
    """covers: star-18 (partly)"""

    def peak(num_pieces):
        tracemalloc.start()
        counts = WordCounts(most_ids=200_000)
        for ids, starts in stream(num_pieces):
            counts.add(ids, starts)
        learn_merges(counts.words(), vocab_size=60, num_merges=100)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(4800) < 1.2 * peak(1200)
