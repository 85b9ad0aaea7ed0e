"""From pieces of music in files to columns; runs in worker processes.

For each request two Arrow tables go back as one byte string: a fact row for every piece, and the piece
columns of those that could be read, hold notes and break no rule.
"""

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from socket import gethostname
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from etude.data.digests import digest_of_score
from etude.data.filters import FilterSettings, broken_rules
from etude.data.inputs import Input, read_bytes, reader_of
from etude.errors import CorpusError, EtudeError
from etude.fingerprints import SKETCH_FIELDS, Sketch, sketch, sketches_to_arrow
from etude.music.edit import extend_by_pedal
from etude.music.families import remove_families
from etude.music.score import Score
from etude.music.table import scores_to_arrow

MAX_PIECE_BYTES = 64 << 20
"""Larger pieces are rejected: the largest MIDI files that hold music have a few megabytes."""

FACTS_SCHEMA = pa.schema(
    [
        pa.field("sha256", pa.string()),
        pa.field("id", pa.string()),
        pa.field("content", pa.binary()),
        pa.field("num_notes", pa.int64()),
        pa.field("duration_sec", pa.float64()),
        pa.field("broken_rules", pa.list_(pa.string())),
        pa.field("broken_values", pa.list_(pa.float64())),
        pa.field("reason", pa.string()),
    ]
)
READING_SCHEMA = pa.schema([*FACTS_SCHEMA, *(field.with_nullable(True) for field in SKETCH_FIELDS)])
"""Facts, and the sketch of every piece that is kept."""


class ReadPiece(NamedTuple):
    """One piece as it was read: its facts, and its Score and sketch if it is to be kept."""

    facts: dict[str, Any]
    score: Score | None = None
    sketch: Sketch | None = None


class PieceReader:
    """Reads pieces as settings ask; what a worker process runs.

    Args:
        filters: plain ``FilterSettings``.
        remove_families: families of instruments to take out.
        extend_by_pedal: let notes last as long as the pedal holds them.
        near_duplicates: sketch every piece that is kept.
        source: the folder or file that is prepared.

    Raises:
        CorpusError: ``source`` is not there, as on a machine of a cluster that does not share it.
    """

    def __init__(
        self,
        *,
        filters: dict[str, Any] | None = None,
        remove_families: Sequence[str] = (),
        extend_by_pedal: bool = False,
        near_duplicates: bool = True,
        source: str | None = None,
    ) -> None:
        if source is not None and not Path(source).exists():
            raise CorpusError(f"{source}: not there on {gethostname()}; every machine must see the folder at this path")
        self.filters = FilterSettings.parse(filters or {})
        self.remove_families = tuple(remove_families)
        self.extend_by_pedal = extend_by_pedal
        self.near_duplicates = near_duplicates

    def __call__(self, items: Sequence[str], begin: Callable[[], None]) -> bytes:
        """Read pieces; items are ``Input``s as JSON, for a path may hold any bytes."""
        pieces = []
        for item in items:
            begin()
            pieces.append(self.read(Input(*json.loads(item))))
        return pack(*columns_of(pieces))

    def read(self, one: Input) -> ReadPiece:
        """Read and judge one piece; whatever is wrong with it becomes its reason."""
        digest = None
        try:
            data = read_bytes(one, at_most=MAX_PIECE_BYTES)
            digest = sha256(data).hexdigest()
            return self.judge(reader_of(one.format)(data), digest)
        except EtudeError as error:
            reason = str(error)
        except MemoryError:
            # the process ends, and a fresh one that has all the memory tries this piece again
            raise
        except Exception as error:
            # a fault of the reader must cost one piece, not the corpus
            reason = f"the reader failed: {type(error).__name__}: {error}"
        return _rejected(digest, reason)

    def judge(self, score: Score, digest: str | None) -> ReadPiece:
        """Edit a Score as asked and measure it."""
        if self.remove_families:
            score = remove_families(score, self.remove_families)
        if self.extend_by_pedal:
            score = extend_by_pedal(score)
        facts: dict[str, Any] = {"sha256": digest, "num_notes": len(score.notes), "duration_sec": score.duration_sec}
        broken = broken_rules(score, self.filters)
        if broken:
            facts["broken_rules"], facts["broken_values"] = zip(*broken, strict=True)
            return ReadPiece(facts)
        facts |= {"id": score.content_digest(), "content": digest_of_score(score)}
        return ReadPiece(facts, score, sketch(score) if self.near_duplicates else None)


def columns_of(pieces: Sequence[ReadPiece]) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Return a row of facts for every piece, and the columns of those that are kept."""
    try:
        columns = scores_to_arrow([piece.score for piece in pieces if piece.score is not None])
    except MemoryError:
        raise
    except Exception:
        # one of them is something that columns cannot hold, such as impossible text
        pieces = [_checked(piece) for piece in pieces]
        columns = scores_to_arrow([piece.score for piece in pieces if piece.score is not None])
    facts = pa.RecordBatch.from_pylist([piece.facts for piece in pieces], FACTS_SCHEMA)
    sketches = _sketch_columns([piece.sketch for piece in pieces])
    return pa.RecordBatch.from_arrays([*facts.columns, *sketches], schema=READING_SCHEMA), columns


def pack(*batches: pa.RecordBatch) -> bytes:
    """Return batches as Arrow IPC streams, one after the other, compressed: they go through a pipe and to disk."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    for batch in batches:
        with pa.ipc.new_stream(sink, batch.schema, options=options) as stream:
            stream.write(batch)
    return sink.getvalue().to_pybytes()


def unpack(data: bytes) -> list[pa.Table]:
    """Return the tables that ``pack`` was given."""
    source = pa.BufferReader(data)
    tables = []
    while source.tell() < source.size():
        tables.append(pa.ipc.open_stream(source).read_all())
    return tables


def _sketch_columns(sketches: Sequence[Sketch | None]) -> list[pa.Array]:
    """Return a row for each sketch; null where there is none."""
    there = np.array([one is not None for one in sketches], bool)
    if not there.any():
        return [pa.nulls(len(sketches), field.type) for field in SKETCH_FIELDS]
    rows = sketches_to_arrow([one for one in sketches if one is not None])
    return rows.take(pa.array(np.where(there, np.cumsum(there) - 1, 0), mask=~there)).columns


def _checked(piece: ReadPiece) -> ReadPiece:
    if piece.score is None:
        return piece
    try:
        scores_to_arrow([piece.score])
    except MemoryError:
        raise
    except Exception as error:
        return _rejected(piece.facts["sha256"], f"the reader failed: {type(error).__name__}: {error}")
    return piece


def _rejected(sha256: str | None, reason: str) -> ReadPiece:
    plain = reason.encode("utf-8", "backslashreplace").decode()
    return ReadPiece({"sha256": sha256, "reason": " ".join(plain.split())})
