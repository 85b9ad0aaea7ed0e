"""Merges are learned from training pieces alone, once, the same for the same corpus."""

import json
import shutil

import numpy as np
import pytest

from etude.data.corpus import Corpus
from etude.data.learn_bpe import learn_bpe
from etude.data.prepare import prepare
from etude.errors import SettingsError, TokenError
from etude.music.midi import write_midi
from etude.music.score import Score
from etude.tokens import build_tokenizer


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return a corpus whose pieces for testing hold a figure of their own."""
    folder = tmp_path_factory.mktemp("learn_bpe")
    (folder / "midi").mkdir()
    rows = ["path,split"]
    for k in range(8):
        is_test = k >= 6
        tick = np.arange(40) * 120
        pitch = (90 if is_test else 60) + np.arange(40) * (k + 2) % 7
        write_midi(Score.of(tick, np.full(40, 100), pitch, np.full(40, 80), ppq=480), folder / "midi" / f"{k}.mid")
        rows.append(f"{k}.mid,{'test' if is_test else 'train'}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    prepare(folder / "midi", folder / "corpus", labels=folder / "labels.csv", workers=1)
    return folder / "corpus"


@pytest.fixture
def corpus(prepared, tmp_path):
    return Corpus.open(shutil.copytree(prepared, tmp_path / "corpus"))


def test_merges_are_learned_and_the_tokenizer_is_kept_beside_the_shards(corpus):
    base = build_tokenizer("performance")
    seen = []
    tokenizer, file = learn_bpe(corpus, base, vocab_size=405, progress=lambda done, total: seen.append((done, total)))
    assert (tokenizer.vocab_size, tokenizer.base.hash) == (405, base.hash)
    assert file.parent == corpus.path / "tokens"
    assert json.loads(file.read_text()) == tokenizer.to_json()
    assert seen == [(k, 6) for k in range(1, 7)]
    piece = next(corpus.pieces()).score
    assert len(tokenizer.encode(piece)) < len(base.encode(piece))


def test_nothing_is_learned_from_pieces_that_are_not_for_training(corpus):
    tokenizer, _ = learn_bpe(corpus, build_tokenizer("performance"), vocab_size=500)
    assert tokenizer.settings.merges
    assert max(tokenizer.id_facts.pitch[390:]) < 90


def test_what_was_learned_is_found_again_and_is_the_same_anew(corpus):
    base = build_tokenizer("performance")
    first, file = learn_bpe(corpus, base, vocab_size=405)
    written = file.stat().st_mtime_ns
    again, _ = learn_bpe(corpus, base, vocab_size=405, progress=lambda *_: pytest.fail("read again"))
    assert (again.hash, file.stat().st_mtime_ns) == (first.hash, written)
    file.unlink()
    assert learn_bpe(corpus, base, vocab_size=405)[0].hash == first.hash


def test_another_base_size_or_reach_is_another_tokenizer(corpus):
    base, bare = build_tokenizer("performance"), build_tokenizer("performance", pedal="ignore")
    files = {
        learn_bpe(corpus, base, vocab_size=405)[1],
        learn_bpe(corpus, base, vocab_size=408)[1],
        learn_bpe(corpus, base, vocab_size=405, within="piece")[1],
        learn_bpe(corpus, bare, vocab_size=405)[1],
    }
    assert len(files) == 4


def test_a_size_without_room_for_merges_is_refused(corpus):
    with pytest.raises(SettingsError, match=r"bpe = 390: performance has 390 ids without any merge"):
        learn_bpe(corpus, build_tokenizer("performance"), vocab_size=390)


def test_a_corpus_without_training_pieces_is_refused(corpus):
    only_test = corpus.splits.set_column(3, corpus.splits.schema.field("split"), [["test"] * len(corpus)])
    corpus.__dict__["splits"] = only_test
    with pytest.raises(TokenError, match="no piece is for training"):
        learn_bpe(corpus, build_tokenizer("performance"), vocab_size=405)
