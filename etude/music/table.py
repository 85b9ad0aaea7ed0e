"""Scores as rows of an Arrow table: a column of the Score is a list column of the table.

A column is named after its table and itself: ``note_pitch``, ``tempo_tick``, ``track_program``. Values of a
Score are offsets and one flat array a column, so nothing is done note by note in either direction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa

from etude.music.score import (
    Columns,
    Controls,
    KeySignatures,
    Notes,
    PitchBends,
    Score,
    Tempos,
    Texts,
    TimeSignatures,
    Track,
)

_TABLES: dict[str, tuple[str, type[Columns]]] = {
    "notes": ("note", Notes),
    "tempos": ("tempo", Tempos),
    "time_signatures": ("time_signature", TimeSignatures),
    "key_signatures": ("key_signature", KeySignatures),
    "controls": ("control", Controls),
    "pitch_bends": ("pitch_bend", PitchBends),
    "texts": ("text", Texts),
}
_TRACK_TYPES = {"program": pa.int32(), "is_drum": pa.bool_(), "name": pa.string()}


def _schema() -> pa.Schema:
    columns = [pa.field("ppq", pa.int32(), nullable=False)]
    columns += [pa.field(f"track_{name}", pa.list_(of), nullable=False) for name, of in _TRACK_TYPES.items()]
    for prefix, table in _TABLES.values():
        for column in fields(table):
            of = pa.string() if column.name in table._strings else pa.int32()
            columns.append(pa.field(f"{prefix}_{column.name}", pa.list_(of), nullable=False))
    return pa.schema(columns)


SCORE_SCHEMA = _schema()
"""Columns of a table of Scores: ``ppq``, the tracks, and every column of every table of a Score."""


def scores_to_arrow(scores: Sequence[Score]) -> pa.RecordBatch:
    """Return Scores as rows, one a Score, with the columns of ``SCORE_SCHEMA``.

    Example:
        >>> scores_to_arrow([Score.of([0], [480], [60])]).column("note_pitch").to_pylist()
        [[60]]
    """
    arrays = [pa.array([score.ppq for score in scores], pa.int32())]
    for name, of in _TRACK_TYPES.items():
        arrays.append(pa.array([[getattr(track, name) for track in score.tracks] for score in scores], pa.list_(of)))
    for attribute, (_, table) in _TABLES.items():
        rows = [getattr(score, attribute) for score in scores]
        lengths = np.array([len(row) for row in rows], np.int64)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
        for column in fields(table):
            values = [getattr(row, column.name) for row in rows]
            arrays.append(pa.ListArray.from_arrays(offsets, _flat(values, column.name in table._strings)))
    return pa.RecordBatch.from_arrays(arrays, schema=SCORE_SCHEMA)


def scores_from_arrow(table: pa.Table | pa.RecordBatch) -> Iterator[Score]:
    """Yield the Score of each row of a table with the columns of ``SCORE_SCHEMA``; other columns do not matter."""
    batches = [table] if isinstance(table, pa.RecordBatch) else table.to_batches()
    for batch in batches:
        yield from _scores_of_batch(batch)


def _scores_of_batch(batch: pa.RecordBatch) -> Iterator[Score]:
    ppq = batch.column("ppq").to_pylist()
    tracks = [batch.column(f"track_{name}").to_pylist() for name in _TRACK_TYPES]
    split = {}
    for attribute, (prefix, table) in _TABLES.items():
        split[attribute] = (
            table,
            {
                column.name: _rows(batch.column(f"{prefix}_{column.name}"), column.name in table._strings)
                for column in fields(table)
            },
        )
    for row in range(batch.num_rows):
        tables = {
            attribute: table(**{name: rows[row] for name, rows in columns.items()})
            for attribute, (table, columns) in split.items()
        }
        of_row = tuple(Track(*values) for values in zip(*(column[row] for column in tracks), strict=True))
        yield Score(ppq[row], tracks=of_row, **tables)


def _flat(values: list[Any], is_text: bool) -> pa.Array:
    if is_text:
        return pa.array([text for row in values for text in row], pa.string())
    return pa.array(np.concatenate(values) if values else np.empty(0, np.int32), pa.int32())


def _rows(column: pa.ListArray, is_text: bool) -> list[Any]:
    """Return the value of each row: a read-only view of the column's one buffer, or a tuple of texts."""
    if is_text:
        return [tuple(row) for row in column.to_pylist()]
    offsets = column.offsets.to_numpy()
    flat = column.values.to_numpy(zero_copy_only=True)
    return [flat[start:end] for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
