"""A corpus: a folder of Parquet files that any tool opens. ``docs/corpus.md`` lists every column.

    pieces-00000.parquet …   a row a piece: id, path, sha256, licence, source, duration_sec, num_notes,
                             label_* columns, and the Score as list columns
    splits.parquet           id, path, group, split of every piece, in the same order
    fingerprints.parquet     a sketch of every piece, in the same order, for finding variants of it
    near.parquet             pairs of pieces that are variants of each other
    ledger.parquet           a row for every file that was seen
    corpus.json              schema, version, digest, totals and how it was prepared
    tokens/<hash>/           token shards, made when they are needed

Pieces are in the order of their paths. ``digest`` stands for the pieces, in their order, with labels and
splits: what a model trained on the corpus may depend on.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from etude.data.split import SPLITS
from etude.errors import CorpusError
from etude.music.score import Score
from etude.music.table import SCORE_SCHEMA, scores_from_arrow
from etude.settings import nearest

SCHEMA = "etude-corpus"
VERSION = 1
LABEL_PREFIX = "label_"
PIECE_FIELDS = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("path", pa.string(), nullable=False),
    pa.field("sha256", pa.string()),
    pa.field("licence", pa.string()),
    pa.field("source", pa.string()),
    pa.field("duration_sec", pa.float64(), nullable=False),
    pa.field("num_notes", pa.int64(), nullable=False),
    pa.field("given_group", pa.string()),
    pa.field("given_split", pa.string()),
]
SPLITS_SCHEMA = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("id", "path", "group", "split")])
_INFO_KEYS = ("digest", "content", "num_pieces", "piece_files", "notes", "hours", "files")
_FACTS = [field.name for field in PIECE_FIELDS if field.name not in ("sha256", "given_group", "given_split")]
_ROWS_AT_A_TIME = 64


@dataclass(frozen=True)
class Piece:
    """One row of a corpus.

    Attributes:
        id: 16 hex digits of the notes.
        path: of the file, relative to the folder that was prepared.
        labels: label columns without their prefix; a label that is not known is left out.
        licence, source: what may be done with it and where it is from, where that is known.
        duration_sec: end of the last note.
        num_notes: notes in it.
        score: the music; None when its columns were not asked for.
    """

    id: str
    path: str
    labels: dict[str, str]
    licence: str | None
    source: str | None
    duration_sec: float
    num_notes: int
    score: Score | None


class Corpus:
    """A prepared corpus, opened for reading with ``Corpus.open``.

    Attributes:
        path: the folder.
        info: what ``corpus.json`` says.
        digest: 32 hex digits of pieces, labels and splits.
        content: 32 hex digits of pieces and labels alone.
    """

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self.path = path
        self.info = info
        self.digest: str = info["digest"]
        self.content: str = info["content"]

    def __len__(self) -> int:
        return self.info["num_pieces"]

    def __repr__(self) -> str:
        notes, hours = self.info["notes"], self.info["hours"]
        return f"Corpus({str(self.path)!r}: {len(self)} pieces, {notes} notes, {hours:.1f} h)"

    @classmethod
    def open(cls, path: Path | str) -> "Corpus":
        """Open a folder that ``prepare`` made.

        Raises:
            CorpusError: it is missing, not a corpus, damaged, or of another schema version.
        """
        path = Path(path)
        info = read_info(path)
        missing = [name for name in ("splits.parquet", "ledger.parquet") if not (path / name).is_file()]
        missing += [f"'{name}' in corpus.json" for name in _INFO_KEYS if name not in info]
        if missing:
            raise CorpusError(f"{path}: damaged, {missing[0]} is missing; prepare it again")
        return cls(path, info)

    @cached_property
    def splits(self) -> pa.Table:
        """Columns ``id, path, group, split`` of every piece."""
        return _read_table(self.path / "splits.parquet")

    @property
    def ledger(self) -> pa.Table:
        """A row for every file that was seen, see ``etude.data.ledger``."""
        return _read_table(self.path / "ledger.parquet")

    def pieces(self, split: str | None = None, *, columns: Sequence[str] | None = None) -> Iterator[Piece]:
        """Yield pieces in the order of the corpus; a bounded number of them is in memory at a time.

        Args:
            split: train, valid or test; all by default.
            columns: read only these columns of the Parquet files. The score is read when all its columns
                are among them; ``()`` reads labels and other facts alone.

        Raises:
            CorpusError: no such split, or a damaged file.
        """
        if split is not None and split not in SPLITS:
            raise CorpusError(f"split = '{split}': {nearest(split, SPLITS)}")
        inside = None if split is None else set(_ids_of(self.splits, split))
        for file in self._piece_files():
            try:
                opened = pq.ParquetFile(file)
                names = self._columns(opened.schema_arrow, columns)
                for batch in opened.iter_batches(_ROWS_AT_A_TIME, columns=names):
                    if inside is not None:
                        batch = batch.filter(pa.array([row in inside for row in batch["id"].to_pylist()]))
                    yield from pieces_of(batch)
            except (OSError, pa.ArrowException) as error:
                raise _damaged(file, error) from error

    def tables(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield columns of ``pieces-*.parquet`` as they are, in the order of the corpus, some pieces at a time.

        Raises:
            CorpusError: no such column, or a damaged file.
        """
        for file in self._piece_files():
            try:
                opened = pq.ParquetFile(file)
                missing = [name for name in columns if name not in opened.schema_arrow.names]
                if missing:
                    raise CorpusError(
                        f"{file}: column '{missing[0]}': {nearest(missing[0], opened.schema_arrow.names)}; "
                        "a corpus of an older Etude is prepared again"
                    )
                yield from opened.iter_batches(_ROWS_AT_A_TIME, columns=list(columns))
            except (OSError, pa.ArrowException) as error:
                raise _damaged(file, error) from error

    def _piece_files(self) -> list[Path]:
        files = sorted(self.path.glob("pieces-*.parquet"))
        if len(files) != self.info["piece_files"]:
            count = f"{len(files)} of {self.info['piece_files']}"
            raise CorpusError(f"{self.path}: damaged, holds {count} pieces-*.parquet; prepare it again")
        return files

    def _columns(self, schema: pa.Schema, columns: Sequence[str] | None) -> list[str]:
        if columns is None:
            return schema.names
        unknown = [name for name in columns if name not in schema.names]
        if unknown:
            raise CorpusError(f"{self.path}: column '{unknown[0]}': {nearest(unknown[0], schema.names)}")
        always = [*_FACTS]
        return always + [name for name in schema.names if name.startswith(LABEL_PREFIX) or name in columns]


def read_info(path: Path) -> dict[str, Any]:
    """Return ``corpus.json`` of a corpus folder.

    Raises:
        CorpusError: it is missing, damaged or of another schema version.
    """
    if not path.is_dir():
        raise CorpusError(f"{path}: no such folder; make a corpus with `etude prepare MIDI_DIR {path}`")
    file = path / "corpus.json"
    try:
        info = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise CorpusError(f"{path}: not a corpus, has no corpus.json; make one with `etude prepare`") from None
    except (OSError, ValueError) as error:
        raise CorpusError(f"{file}: unreadable ({error}); prepare the corpus again") from error
    found = (info.get("schema"), info.get("version")) if isinstance(info, dict) else None
    if found != (SCHEMA, VERSION):
        raise CorpusError(
            f"{file}: schema and version are {found}, expected {(SCHEMA, VERSION)}; prepare the corpus again"
        )
    return info


def piece_schema(label_names: Sequence[str]) -> pa.Schema:
    """Return the schema of ``pieces-*.parquet`` with these labels."""
    labels = [pa.field(LABEL_PREFIX + name, pa.string()) for name in label_names]
    return pa.schema(PIECE_FIELDS + labels + list(SCORE_SCHEMA))


def pieces_of(batch: pa.RecordBatch) -> Iterator[Piece]:
    """Yield the pieces in rows of ``pieces-*.parquet``; their Scores if all their columns are there."""
    names = [name for name in batch.schema.names if name.startswith(LABEL_PREFIX)]
    facts = batch.select(_FACTS).to_pylist()
    labels = batch.select(names).to_pylist() if names else [{}] * len(facts)
    whole = all(name in batch.schema.names for name in SCORE_SCHEMA.names)
    scores = scores_from_arrow(batch.select(SCORE_SCHEMA.names)) if whole else [None] * len(facts)
    for fact, row, score in zip(facts, labels, scores, strict=True):
        known = {name.removeprefix(LABEL_PREFIX): value for name, value in row.items() if value is not None}
        yield Piece(labels=known, score=score, **fact)


def _ids_of(splits: pa.Table, split: str) -> list[str]:
    pairs = zip(splits["id"].to_pylist(), splits["split"].to_pylist(), strict=True)
    return [piece for piece, name in pairs if name == split]


def _read_table(file: Path) -> pa.Table:
    try:
        return pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> CorpusError:
    what = " ".join(str(error).split())
    return CorpusError(f"{file}: damaged ({what}); prepare the corpus again")
