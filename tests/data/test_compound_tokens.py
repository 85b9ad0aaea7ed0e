"""Shards and batches of compound ids: a row of Q ids a step, and END and padding in every codebook."""

import json
import shutil

import numpy as np
import pytest
from pieces_for_tests import write_songs

from etude.data.batches import EvalWindows, TrainBatches
from etude.data.corpus import Corpus
from etude.data.prepare import prepare
from etude.data.shards import Shards
from etude.data.tokenize import tokenize
from etude.errors import TokenError
from etude.tokens import build_tokenizer

Q = 8


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compound")
    write_songs(folder / "midi", [f"{k}.mid" for k in range(6)], num_notes=30)
    prepare(folder / "midi", folder / "out", workers=1)
    return tokenize(Corpus.open(folder / "out"), build_tokenizer("octuple"))


@pytest.fixture(scope="module")
def pieces(shards):
    """Return the rows of all pieces, END last, encoded here."""
    corpus = Corpus.open(shards.path.parents[1])
    end = np.full((1, Q), shards.tokenizer.end_id)
    return [np.concatenate([shards.tokenizer.encode(piece.score), end]) for piece in corpus.pieces()]


def test_a_piece_is_its_rows_and_a_row_of_end(shards, pieces):
    for row, piece in enumerate(pieces):
        assert shards.ids(row).tolist() == piece.tolist()
        assert shards.lengths[row] == len(piece) == 31
    assert shards.ids(0).dtype == np.uint16
    assert shards.num_tokens == 6 * 31
    assert json.loads((shards.path / "tokens.json").read_text())["num_codebooks"] == Q
    assert np.load(shards.path / "tokens-00000.npy").shape == (6 * 31, Q)


def test_single_ids_are_stored_as_ever(shards):
    plain = tokenize(Corpus.open(shards.path.parents[1]), build_tokenizer("performance"))
    assert "num_codebooks" not in json.loads((plain.path / "tokens.json").read_text())
    assert plain.ids(0).ndim == 1


def test_files_end_after_as_many_ids_not_steps(shards, tmp_path, monkeypatch):
    monkeypatch.setattr("etude.data.token_files.FILE_IDS", 50 * Q)
    shutil.copytree(shards.path.parents[1], tmp_path / "corpus", ignore=shutil.ignore_patterns("tokens"))
    again = tokenize(Corpus.open(tmp_path / "corpus"), shards.tokenizer)
    assert [len(np.load(file)) for file in sorted(again.path.glob("tokens-*.npy"))] == [62, 62, 62]
    assert [again.ids(row).tolist() for row in range(6)] == [shards.ids(row).tolist() for row in range(6)]


def test_files_of_another_number_of_codebooks_are_refused(shards, tmp_path):
    copy = shutil.copytree(shards.path, tmp_path / "copy")
    flat = np.load(copy / "tokens-00000.npy")[:, 0]
    np.save(copy / "tokens-00000.npy", np.ascontiguousarray(flat))
    with pytest.raises(TokenError, match="holds 0 ids of 6 pieces"):
        Shards.open(copy, shards.tokenizer)


def test_training_batches_are_rows_of_the_ring(shards, pieces):
    batches = TrainBatches(shards, ctx_len=10, batch_size=3, seed=1)
    follows = {}
    for row in shards.split_rows("train"):
        steps = [tuple(step) for step in pieces[row].tolist()]
        follows |= dict(zip(steps[:-1], steps[1:], strict=True))
    end = (shards.tokenizer.end_id,) * Q
    seen = set()
    for step in range(batches.windows_per_epoch):
        ids_BTQ = batches.at(step)
        assert ids_BTQ.shape == (3, 11, Q)
        assert ids_BTQ.dtype == np.int64
        for window in ids_BTQ.tolist():
            for a, b in zip(map(tuple, window[:-1]), map(tuple, window[1:]), strict=True):
                assert a == end or b == follows[a]
                seen.add(b)
    assert seen >= set(follows.values())


def test_training_pieces_are_transposed_whole(shards):
    batches = TrainBatches(shards, ctx_len=10, batch_size=4, seed=1, transpose_semitones=5)
    plain = {tuple(step) for row in range(6) for step in np.delete(shards.ids(row), 3, axis=1).tolist()}
    moved = batches.at(0).reshape(-1, Q)
    assert {tuple(step) for step in np.delete(moved, 3, axis=1).tolist()} <= plain
    pitches = {step[3] for row in range(6) for step in shards.ids(row).tolist()}
    assert not set(moved[:, 3].tolist()) <= pitches


@pytest.mark.parametrize("ctx_len", [7, 100])
def test_evaluation_counts_every_step_once(shards, pieces, ctx_len):
    counted = []
    for ids_BTQ, targets_BTQ, weight_BT in EvalWindows(shards, "train", ctx_len=ctx_len, batch_size=3):
        assert ids_BTQ.shape == targets_BTQ.shape == (*weight_BT.shape, Q)
        counted.append(targets_BTQ[weight_BT])
        assert (targets_BTQ[~weight_BT][:, 0] != 0).all()
        shifted = ids_BTQ[:, 1:] == targets_BTQ[:, :-1]
        # the last target of a window is nothing's context, and padding follows it
        assert (shifted.all(-1) | (ids_BTQ[:, 1:] == shards.tokenizer.pad_id).all(-1)).all()
    expected = np.concatenate([pieces[row] for row in shards.split_rows("train")])
    assert sorted(np.concatenate(counted).tolist()) == sorted(expected.tolist())


def test_a_window_that_begins_a_piece_begins_with_a_row_of_end(shards):
    batch = next(iter(EvalWindows(shards, "train", ctx_len=100, batch_size=8)))
    assert (batch.ids_BT[:, 0] == shards.tokenizer.end_id).all()
    assert batch.ids_BT.shape[2] == Q
