"""What is not a whole corpus of this version is refused in one line."""

import json
import shutil

import pytest
from pieces_for_tests import write_songs

from etude.data.corpus import Corpus
from etude.data.digests import digest_of_splits
from etude.data.prepare import prepare
from etude.errors import CorpusError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_songs(folder / "midi", ["a.mid", "b.mid", "c.mid"])
    prepare(folder / "midi", folder / "out", workers=1)
    return folder / "out"


@pytest.fixture
def copy(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "copy")


def refused(path, *, reading=False):
    action = (lambda: list(Corpus.open(path).pieces("train"))) if reading else (lambda: Corpus.open(path))
    with pytest.raises(CorpusError) as error:
        action()
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


def test_a_missing_folder_is_refused(tmp_path):
    assert "no such folder; make a corpus with `etude prepare" in refused(tmp_path / "none")


def test_a_folder_that_is_not_a_corpus_is_refused(tmp_path):
    assert "not a corpus, has no corpus.json" in refused(tmp_path)


@pytest.mark.parametrize("change", [{"version": 2}, {"version": 0}, {"schema": "another"}])
def test_a_corpus_of_another_schema_version_is_refused(copy, change):
    info = json.loads((copy / "corpus.json").read_text()) | change
    (copy / "corpus.json").write_text(json.dumps(info))
    found = (info["schema"], info["version"])
    expected = f"schema and version are {found}, expected ('etude-corpus', 1); prepare the corpus again"
    assert expected in refused(copy)


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"schema": "etude-corpus", "version": 1}'])
def test_a_damaged_corpus_json_is_refused(copy, text):
    (copy / "corpus.json").write_text(text)
    assert "prepare" in refused(copy)


@pytest.mark.parametrize("name", ["splits.parquet", "ledger.parquet"])
def test_a_missing_table_is_refused(copy, name):
    (copy / name).unlink()
    assert f"damaged, {name} is missing" in refused(copy)


def test_missing_and_damaged_pieces_are_refused(copy):
    file = copy / "pieces-00000.parquet"
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    assert "pieces-00000.parquet: damaged" in refused(copy, reading=True)
    file.unlink()
    assert "damaged, holds 0 of 1 pieces-*.parquet" in refused(copy, reading=True)


def test_damaged_splits_are_refused(copy):
    (copy / "splits.parquet").write_bytes(b"PAR1")
    assert "splits.parquet: damaged" in refused(copy, reading=True)


def test_unknown_splits_and_columns_are_refused_with_the_nearest_name(prepared):
    with pytest.raises(CorpusError, match="split = 'trian': did you mean 'train'"):
        next(Corpus.open(prepared).pieces("trian"))
    with pytest.raises(CorpusError, match="column 'note_pich': did you mean 'note_pitch'"):
        next(Corpus.open(prepared).pieces(columns=["note_pich"]))


def test_the_digest_is_that_of_pieces_and_splits(prepared):
    corpus = Corpus.open(prepared)
    assert corpus.digest == digest_of_splits(corpus.content, corpus.splits)
    moved = corpus.splits.set_column(3, "split", [["test"] * len(corpus)])
    assert digest_of_splits(corpus.content, moved) != corpus.digest


def test_a_corpus_says_what_it_is(prepared):
    assert repr(Corpus.open(prepared)).endswith("out': 3 pieces, 120 notes, 0.0 h)")
    assert len(Corpus.open(prepared)) == 3
