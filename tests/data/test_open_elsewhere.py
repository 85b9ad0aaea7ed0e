"""The Parquet files of a corpus open in the libraries that people read tables with, and say the same there."""

import pytest

from etude.data.corpus import Corpus
from etude.data.prepare import prepare

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "corpus"
    prepare("sampler", folder)
    return Corpus.open(folder)


def totals(corpus):
    notes = [int(piece.score.notes.pitch.sum()) for piece in corpus.pieces()]
    return len(corpus), corpus.info["notes"], sum(notes)


def test_polars_reads_a_corpus(corpus):
    polars = pytest.importorskip("polars", reason="polars is what this is about")
    table = polars.read_parquet(corpus.path / "pieces-*.parquet")
    assert (len(table), table["num_notes"].sum(), table["note_pitch"].explode().sum()) == totals(corpus)
    by_split = polars.read_parquet(corpus.path / "splits.parquet").group_by("split").len()
    assert dict(by_split.iter_rows()) == {name: count for name, count in corpus.info["splits"].items() if count}
    assert len(polars.read_parquet(corpus.path / "ledger.parquet")) == sum(corpus.info["files"].values())


def test_duckdb_reads_a_corpus(corpus):
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is what this is about")
    pieces = f"'{corpus.path}/pieces-*.parquet'"
    (counts,) = duckdb.sql(f"SELECT count(*), sum(num_notes), sum(list_sum(note_pitch)) FROM {pieces}").fetchall()
    assert counts == totals(corpus)
    joined = duckdb.sql(
        f"SELECT split, count(*) FROM {pieces} JOIN '{corpus.path}/splits.parquet' USING (id) GROUP BY ALL"
    )
    assert dict(joined.fetchall()) == {name: count for name, count in corpus.info["splits"].items() if count}


def test_pandas_reads_a_corpus(corpus):
    pandas = pytest.importorskip("pandas", reason="pandas is what this is about")
    table = pandas.concat(pandas.read_parquet(file) for file in sorted(corpus.path.glob("pieces-*.parquet")))
    assert (len(table), table["num_notes"].sum(), sum(row.sum() for row in table["note_pitch"])) == totals(corpus)


def test_datasets_reads_a_corpus_whole_and_as_a_stream(corpus, tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is what this is about")
    files = [str(file) for file in sorted(corpus.path.glob("pieces-*.parquet"))]
    table = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert (len(table), sum(table["num_notes"]), sum(map(sum, table["note_pitch"]))) == totals(corpus)
    stream = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    first = next(iter(stream))
    piece = next(corpus.pieces())
    assert (first["id"], first["path"], first["ppq"]) == (piece.id, piece.path, piece.score.ppq)
    assert first["note_pitch"] == piece.score.notes.pitch.tolist()
