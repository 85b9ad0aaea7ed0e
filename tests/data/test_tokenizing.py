"""Token shards hold what the tokenizer says, are made once, and refuse any other tokenizer."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pieces_for_tests import write_songs

import etude.data.tokenize
from etude.data.batches import TrainBatches
from etude.data.corpus import Corpus
from etude.data.prepare import prepare
from etude.data.shards import Shards
from etude.data.tokenize import shards_folder, tokenize
from etude.errors import TokenError
from etude.tokens import build_tokenizer

NAMES = [f"{k}.mid" for k in range(6)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizing")
    write_songs(folder / "midi", NAMES, num_notes=30)
    prepare(folder / "midi", folder / "out", workers=1)
    return folder / "out"


@pytest.fixture
def corpus(prepared, tmp_path):
    return Corpus.open(shutil.copytree(prepared, tmp_path / "corpus"))


@pytest.fixture
def tokenizer():
    return build_tokenizer("performance")


class Wide:
    """A tokenizer of more ids than 16 bits hold: an id a note."""

    kind, hash, vocab_size, pad_id, end_id = "wide", "f" * 16, 70_000, 69_998, 69_999
    num_codebooks = 1

    def to_json(self):
        return {"kind": self.kind}

    def encode(self, score):
        return score.notes.pitch.astype(np.int32) + 69_000

    def measure(self, ids):
        return len(ids), float(len(ids)) / 2


def test_a_piece_is_its_ids_and_end(corpus, tokenizer):
    shards = tokenize(corpus, tokenizer)
    for row, piece in enumerate(corpus.pieces()):
        expected = [*tokenizer.encode(piece.score).tolist(), tokenizer.end_id]
        assert shards.ids(row).tolist() == expected
        assert shards.lengths[row] == len(expected)
        assert (shards.notes[row], shards.seconds[row]) == tokenizer.measure(np.array(expected[:-1]))
    assert len(shards) == 6
    assert shards.piece_ids.to_pylist() == [piece.id for piece in corpus.pieces(columns=())]
    assert shards.num_tokens == shards.lengths.sum()
    assert shards.ids(0).dtype == np.uint16
    assert not shards.ids(0).flags.writeable


def test_large_vocabularies_and_many_files_are_stored_as_well(corpus, monkeypatch):
    monkeypatch.setattr("etude.data.token_files.FILE_IDS", 50)
    shards = tokenize(corpus, Wide())
    files = sorted(shards.path.glob("tokens-*.npy"))
    assert [len(np.load(file)) for file in files] == [62, 62, 62]
    assert all(np.load(file).dtype == np.uint32 for file in files)
    pitches = [[*(piece.score.notes.pitch + 69_000).tolist(), 69_999] for piece in corpus.pieces()]
    assert [shards.ids(row).tolist() for row in range(6)] == pitches


def test_rows_of_a_split_are_those_of_the_corpus_and_a_new_split_needs_no_new_shards(corpus, tokenizer):
    shards = tokenize(corpus, tokenizer)
    names = corpus.splits["split"].to_pylist()
    for split in ("train", "valid", "test"):
        assert shards.split_rows(split).tolist() == [row for row, name in enumerate(names) if name == split]
    turned = corpus.splits.set_column(3, "split", pa.array(["test", "train", "train", "valid", "train", "train"]))
    pq.write_table(turned, corpus.path / "splits.parquet")
    again = tokenize(Corpus.open(corpus.path), tokenizer)
    assert again.split_rows("train").tolist() == [1, 2, 4, 5]
    assert Shards.open(shards.path, tokenizer).split_rows("test").tolist() == [0]
    assert again.path == shards.path


def test_another_process_draws_the_same_windows(corpus, tokenizer):
    """covers: K38"""
    shards = tokenize(corpus, tokenizer)
    code = (
        "import sys; from etude.data.batches import TrainBatches; from etude.data.shards import Shards\n"
        "from etude.tokens import build_tokenizer\n"
        "shards = Shards.open(sys.argv[1], build_tokenizer('performance'))\n"
        "batches = TrainBatches(shards, ctx_len=8, batch_size=20, seed=5, transpose_semitones=3)\n"
        "print(*batches.at(3)[17], *batches.at(4)[17])"
    )
    drawn = subprocess.run([sys.executable, "-c", code, shards.path], capture_output=True, text=True, check=True)
    batches = TrainBatches(shards, ctx_len=8, batch_size=20, seed=5, transpose_semitones=3)
    third, fourth = batches.at(3)[17].tolist(), batches.at(4)[17].tolist()
    assert [int(number) for number in drawn.stdout.split()] == third + fourth
    assert third != fourth


def test_shards_outside_a_corpus_have_no_splits(corpus, tokenizer, tmp_path):
    alone = shutil.copytree(tokenize(corpus, tokenizer).path, tmp_path / "elsewhere" / "alone")
    with pytest.raises(TokenError, match="not inside a corpus"):
        Shards.open(alone, tokenizer).split_rows("train")


def test_shards_are_made_once(corpus, tokenizer):
    said, progress = [], []
    for _ in range(2):
        tokenize(corpus, tokenizer, say=said.append, progress=lambda done, total: progress.append((done, total)))
    assert len(said) == 1
    assert said[0].startswith(f"tokenizing 6 pieces with performance {tokenizer.hash}, which leaves out tempo, metre, ")
    assert progress == [(k, 6) for k in range(1, 7)]


def test_two_that_start_at_once_make_them_once(corpus, tokenizer):
    said = []
    threads = [threading.Thread(target=tokenize, args=(corpus, tokenizer), kwargs={"say": said.append}) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 1


def test_opening_with_another_tokenizer_is_refused(corpus, tokenizer):
    """covers: star-19"""
    path = tokenize(corpus, tokenizer).path
    with pytest.raises(TokenError) as error:
        Shards.open(path, Wide())
    assert f"made by tokenizer performance {tokenizer.hash}, not by wide {'f' * 16}" in str(error.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "tokens.json").unlink(), "no token shards here"),
        (lambda path: (path / "tokens.json").write_text("{"), "unreadable"),
        (
            lambda path: (path / "tokens.json").write_text('{"schema": "etude-tokens", "version": 2}'),
            "('etude-tokens', 2)",
        ),
        (lambda path: (path / "index.parquet").write_bytes(b"PAR1"), "damaged"),
        (lambda path: (path / "tokens-00000.npy").write_bytes(b"\x93NUMPY"), "damaged"),
        (lambda path: (path / "tokens-00000.npy").unlink(), "holds 0 ids of 6 pieces"),
        (lambda path: np.save(path / "tokens-00000.npy", np.zeros(5, np.uint16)), "holds 5 ids of 6 pieces"),
    ],
)
def test_damaged_shards_are_refused_in_one_line(corpus, tokenizer, damage, message):
    path = tokenize(corpus, tokenizer).path
    damage(path)
    with pytest.raises(TokenError) as error:
        Shards.open(path, tokenizer)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_shards_of_other_pieces_are_made_anew(corpus, tokenizer):
    path = tokenize(corpus, tokenizer).path
    seal = json.loads((path / "tokens.json").read_text())
    (path / "tokens.json").write_text(json.dumps(seal | {"content": "of pieces that were here before"}))
    said = []
    tokenize(corpus, tokenizer, say=said.append)
    assert len(said) == 1
    assert json.loads((path / "tokens.json").read_text()) == seal


def test_shards_of_a_read_only_corpus_lie_in_the_cache_of_the_user(corpus, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(etude.data.tokenize, "can_write", lambda folder: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shards = tokenize(corpus, tokenizer)
    assert shards.path == tmp_path / "cache" / "etude" / "tokens" / corpus.content / tokenizer.hash
    assert len(shards.split_rows("train")) == 4
    assert not (corpus.path / "tokens").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_counts_as_read_only(corpus, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    corpus.path.chmod(0o555)
    try:
        assert (tmp_path / "cache") in shards_folder(corpus, tokenizer).parents
    finally:
        corpus.path.chmod(0o755)


def test_a_piece_that_cannot_be_told_names_its_path(corpus):
    class Narrow(Wide):
        def encode(self, score):
            raise TokenError("too long")

    with pytest.raises(TokenError, match=r"corpus: 0\.mid: too long"):
        tokenize(corpus, Narrow())
    assert not [file for file in Path(corpus.path).rglob("*") if file.is_file() and "tokens" in file.parts]
