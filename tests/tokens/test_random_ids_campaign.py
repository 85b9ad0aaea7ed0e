"""Random ids by the million: every sequence is a piece, and a MIDI file keeps it.

A short slice is a quick test; the campaign goes on for ``ETUDE_CAMPAIGN_SECONDS``, 60 by default, or until there are
``ETUDE_CAMPAIGN_SEQUENCES``, and its results are kept in ``docs/campaigns.md``. Every sequence follows from the seed
(``ETUDE_CAMPAIGN_SEED``), the tokenizer and its number, so a failure names all three.
"""

import itertools
import os
import time

import numpy as np
import pytest

from etude.corpora.sampler import iter_pieces
from etude.music.check import check_score
from etude.music.midi import midi_bytes, read_midi
from etude.randomness import generator
from etude.tokens import TOKENIZERS, build_tokenizer
from etude.tokens.bpe_learn import learn_merges
from etude.tokens.bpe_words import WordCounts

BATCH = 2048
# a MIDI file takes several times as long as the ids
FILE_EVERY = 16
OTHERS = {
    "absolute, pedal": {"kind": "absolute", "instruments": ["piano"], "pedal": "both"},
    "remi, reduced": {"kind": "remi", "form": "reduced"},
    "tsd, everything": {
        "kind": "tsd",
        "use_programs": True,
        "use_tempos": True,
        "use_time_signatures": True,
        "use_rests": True,
        "use_sustain_pedals": True,
        "use_key_signatures": True,
    },
    "midilike, everything": {
        "kind": "midilike",
        "use_programs": True,
        "use_tempos": True,
        "use_time_signatures": True,
        "use_rests": True,
        "use_sustain_pedals": True,
    },
    "bpe, remi": {"kind": "bpe", "base": {"kind": "remi"}, "within": "bar"},
}


class Drawing:
    """Random sequences of one tokenizer: ids out of nothing, and spliced and damaged parts of real pieces."""

    def __init__(self, name, scores):
        settings = dict(OTHERS.get(name, {"kind": name}))
        self.name, self.tokenizer = name, build_tokenizer(settings.pop("kind"), **settings)
        if self.tokenizer.kind == "bpe":
            self.tokenizer = with_merges(self.tokenizer, scores)
        real = [self.tokenizer.encode(score) for score in scores]
        end = np.full((1, *real[0].shape[1:]), self.tokenizer.end_id)
        self.real = np.concatenate([part for ids in real for part in (ids, end)])
        self.sequences = self.tokens = self.notes = self.files = 0

    def draw(self, seed, batch):
        """Return the sequences of one batch, half of them shorter than 12 ids."""
        rng = generator(seed, self.name, batch)
        length = np.minimum(rng.geometric(1 / 16, BATCH) - 1, 200)
        ids = rng.integers(0, self.tokenizer.vocab_size, (length.sum(), *self.real.shape[1:]))
        # half are read on from some place of real music, and jump now and then to another
        place = rng.integers(0, len(self.real), len(ids))
        jumps = rng.random(len(ids)) < 0.05
        starts = np.cumsum(length) - length
        jumps[starts[length > 0]] = True
        began = np.maximum.accumulate(np.where(jumps, np.arange(len(ids)), 0))
        read = self.real[(place[began] + np.arange(len(ids)) - began) % len(self.real)]
        is_read = np.repeat(rng.random(BATCH) < 0.5, length) & (rng.random(len(ids)) < 0.95)
        ids[is_read] = read[is_read]
        return np.split(ids.astype(np.int32), starts[1:])

    def run(self, seed, batch):
        """Decode a batch and check what comes of it."""
        for number, ids in enumerate(self.draw(seed, batch)):
            try:
                self.check(ids, with_file=number % FILE_EVERY == 0)
            except Exception as error:
                where = f"{self.name}, seed {seed}, batch {batch}, sequence {number}"
                raise AssertionError(f"{where}: {ids.tolist()}: {error!r}") from error
            self.sequences += 1
            self.tokens += ids.size

    def check(self, ids, *, with_file):
        score = self.tokenizer.decode(ids)
        self.notes += len(score.notes)
        assert check_score(score) == []
        if not with_file:
            return
        self.files += 1
        back = read_midi(midi_bytes(score))
        assert back.notes == score.notes
        assert back.tempos == score.tempos
        again = self.tokenizer.encode(score)
        assert self.tokenizer.encode(self.tokenizer.decode(again)).tolist() == again.tolist()


def with_merges(plain, scores):
    """Return the tokenizer with merges learned from some pieces."""
    words = WordCounts()
    for score in scores:
        ids = plain.base.encode(score)
        words.add(ids, plain.word_starts(ids))
    return plain.with_merges(learn_merges(words.words(), vocab_size=plain.vocab_size, num_merges=500))


def drawings(names):
    scores = [piece.score for piece in itertools.islice(iter_pieces("train"), 0, 60, 6)]
    return [Drawing(name, scores) for name in names]


@pytest.mark.parametrize("name", sorted({*TOKENIZERS, *OTHERS}))
def test_random_ids_are_pieces_that_a_midi_file_keeps(name, monkeypatch):
    """covers: MT-5"""
    monkeypatch.setitem(globals(), "BATCH", 64)
    (one,) = drawings([name])
    one.run(0, 0)
    assert one.sequences == 64
    assert one.notes


def test_what_goes_wrong_is_told_with_seed_and_number(monkeypatch):
    monkeypatch.setitem(globals(), "BATCH", 8)
    (one,) = drawings(["performance"])
    monkeypatch.setattr(one.tokenizer, "decode", lambda ids: 1 // 0)
    with pytest.raises(AssertionError, match=r"performance, seed 3, batch 5, sequence 0: \[.*ZeroDivisionError"):
        one.run(3, 5)


@pytest.mark.campaign
def test_random_ids_by_the_million_are_pieces_that_a_midi_file_keeps():
    """covers: MT-5"""
    seed = int(os.environ.get("ETUDE_CAMPAIGN_SEED", "1"))
    most = int(os.environ.get("ETUDE_CAMPAIGN_SEQUENCES", "10000000"))
    until = time.monotonic() + float(os.environ.get("ETUDE_CAMPAIGN_SECONDS", "60"))
    tried = drawings(sorted({*TOKENIZERS, *OTHERS}))
    # in turns, so that each has its share whenever time is up
    for batch, one in ((batch, one) for batch in itertools.count() for one in tried):
        if batch and (time.monotonic() > until or sum(other.sequences for other in tried) >= most):
            break
        one.run(seed, batch)
    print(f"\nseed {seed}: {sum(one.sequences for one in tried):,} sequences")
    for one in tried:
        told = f"{one.sequences:,} sequences, {one.tokens:,} ids, {one.notes:,} notes, {one.files:,} files"
        print(f"  {one.name:<22} {told}", flush=True)
    assert all(one.sequences for one in tried)
