"""Scores as rows of an Arrow table, and back."""

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from midi_making import scores

from etude.music.score import Score, Texts
from etude.music.table import SCORE_SCHEMA, scores_from_arrow, scores_to_arrow


@given(st.lists(scores(max_notes=6), max_size=3))
def test_scores_come_back_from_rows(pieces):
    batch = scores_to_arrow(pieces)
    assert batch.schema == SCORE_SCHEMA
    assert batch.num_rows == len(pieces)
    assert list(scores_from_arrow(batch)) == pieces


@given(st.lists(scores(max_notes=6), min_size=2, max_size=3))
def test_scores_come_back_from_slices_and_several_batches(pieces):
    batch = scores_to_arrow(pieces)
    assert list(scores_from_arrow(batch.slice(1))) == pieces[1:]
    table = pa.Table.from_batches([batch, batch])
    assert list(scores_from_arrow(table)) == pieces + pieces


def test_other_columns_beside_the_score_do_not_matter():
    piece = Score.of([0], [480], [60], texts=Texts.of(tick=[0], kind=["cue"], text=["ä"], track=[0]))
    table = pa.Table.from_batches([scores_to_arrow([piece])]).append_column("id", pa.array(["x"]))
    assert list(scores_from_arrow(table)) == [piece]


def test_scores_come_back_from_parquet_batch_by_batch(tmp_path):
    pieces = [Score.of([at], [480], [60 + at]) for at in range(10)]
    pq.write_table(pa.Table.from_batches([scores_to_arrow(pieces)]), tmp_path / "pieces.parquet", compression="zstd")
    batches = pq.ParquetFile(tmp_path / "pieces.parquet").iter_batches(batch_size=3)
    assert [score for batch in batches for score in scores_from_arrow(batch)] == pieces


def test_anyone_can_read_the_notes_without_etude():
    batch = scores_to_arrow([Score.of([0, 480], [480, 240], [60, 64], [100, 90])])
    row = pa.Table.from_batches([batch]).to_pylist()[0]
    assert row["ppq"] == 480
    assert row["note_onset_tick"] == [0, 480]
    assert row["note_pitch"] == [60, 64]
    assert row["track_program"] == [0]
