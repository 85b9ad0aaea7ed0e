"""Sketches of all pieces on disk, and the pairs of pieces that are variants of each other."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from etude.data.parquet import abandon
from etude.errors import CorpusError
from etude.fingerprints import SKETCH_FIELDS, Pairs, near_pairs

SKETCHES = "fingerprints.parquet"
NEAR = "near.parquet"
SKETCH_SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), *SKETCH_FIELDS])
NEAR_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in ("id_a", "id_b", "path_a", "path_b")),
        pa.field("similarity", pa.float32(), nullable=False),
        pa.field("semitones", pa.int8(), nullable=False),
        pa.field("joined", pa.bool_(), nullable=False),
    ]
)
_ROWS_AT_A_TIME = 4096


class SketchFile:
    """Writes ``fingerprints.parquet``: the id and the sketch of each piece, in the order of the pieces."""

    def __init__(self, file: Path) -> None:
        # hashes are as good as random: compression would only take time
        plain = {"compression": "none", "use_dictionary": False}
        self._writer = pq.ParquetWriter(file, SKETCH_SCHEMA, **plain, write_page_checksum=True)
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, rows: pa.Table) -> None:
        """Add rows of ``SKETCH_SCHEMA``."""
        while len(rows):
            part = rows[: _ROWS_AT_A_TIME - self._rows]
            self._waiting.append(part)
            self._rows += len(part)
            if self._rows == _ROWS_AT_A_TIME:
                self._flush()
            rows = rows[len(part) :]

    def close(self) -> None:
        """Write what waits."""
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Give up writing."""
        abandon(self._writer)

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting).cast(SKETCH_SCHEMA))
            self._waiting, self._rows = [], 0


def find_near(file: Path) -> Pairs:
    """Return the near-duplicate pairs among the sketches of a file.

    Raises:
        CorpusError: the file is missing or damaged.
    """

    def batches() -> Iterator[pa.RecordBatch]:
        names = [field.name for field in SKETCH_FIELDS]
        yield from pq.ParquetFile(file).iter_batches(_ROWS_AT_A_TIME, columns=names)

    try:
        return near_pairs(batches)
    except (OSError, pa.ArrowException) as error:
        what = " ".join(str(error).split())
        raise CorpusError(f"{file}: missing or damaged ({what}); prepare the corpus again") from error
