"""Pieces in any order: the same as in the order of the corpus, from any thread, made once."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from corpus_for_tests import make_corpus

import etude.data.piece_file
from etude.data.corpus import Corpus
from etude.data.piece_file import open_pieces
from etude.errors import CorpusError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("pieces"), near_duplicates=False)


@pytest.fixture
def corpus(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("etude.data.corpus._ROWS_AT_A_TIME", 3)
    return Corpus.open(shutil.copytree(prepared, tmp_path / "corpus"))


def test_pieces_are_those_of_the_corpus_in_any_order_and_from_any_thread(corpus):
    expected = list(corpus.pieces())
    pieces = open_pieces(corpus)
    assert len(pieces) == len(expected)
    rows = [*range(len(expected))[::-1], *range(len(expected))] * 5
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(pieces.piece, rows)) == [expected[row] for row in rows]
    assert any(piece.labels for piece in expected)


def test_the_copy_is_made_once_and_again_for_other_pieces(corpus):
    said = []
    for _ in range(2):
        open_pieces(corpus, say=said.append)
    assert len(said) == 1
    corpus.content = "0" * 32
    open_pieces(corpus, say=said.append)
    assert len(said) == 2


def test_beside_a_read_only_corpus_the_copy_lies_in_the_cache(corpus, monkeypatch):
    monkeypatch.setattr(etude.data.piece_file, "can_write", lambda folder: False)
    pieces = open_pieces(corpus)
    assert pieces.path.parts[-2:] == ("unpacked", corpus.content)
    assert pieces.piece(0) == next(corpus.pieces())
    assert not (corpus.path / "unpacked").exists()


def test_a_damaged_copy_is_refused_with_what_to_do(corpus):
    folder = open_pieces(corpus).path
    (folder / "pieces.arrow").write_bytes(b"nothing")
    with pytest.raises(CorpusError, match="remove it"):
        open_pieces(corpus)
