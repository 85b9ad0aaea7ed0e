"""Build the files of a corpus from facts and columns, in the order in which they come.

Memory is bounded by one row group of music; besides, a digest and a path of each piece are kept.
"""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from etude.data.corpus import (
    LABEL_PREFIX,
    PIECE_FIELDS,
    SCHEMA,
    SPLITS_SCHEMA,
    VERSION,
    digest_of_splits,
    piece_schema,
)
from etude.data.duplicates import ExactDuplicates
from etude.data.filters import broken_rule
from etude.data.labels import NOTHING, Labels
from etude.data.ledger import Ledger
from etude.data.parquet import abandon, open_writer
from etude.data.split import SPLITS, split_by_group
from etude.files import write_json

ROW_GROUP_BYTES = 24 << 20
FILE_BYTES = 1 << 30
"""Bytes of columns, before compression, after which a new pieces-*.parquet begins."""


class Builder:
    """Takes files in the order of their paths, decides what becomes of each, and writes the corpus.

    Args:
        folder: an empty folder.
        labels: what is known of each path beforehand.
        licence: of files whose labels name none.
        source: of files whose labels name none.
    """

    def __init__(self, folder: Path, *, labels: Labels, licence: str | None, source: str | None) -> None:
        self.folder = folder
        self.labels = labels
        self.licence = licence
        self.source = source
        self.ledger = Ledger(folder / "ledger.parquet")
        self.notes = 0
        self.seconds = 0.0
        self.licences: Counter[str] = Counter()
        self._pieces = PieceFiles(folder, piece_schema(labels.names))
        self._seen = ExactDuplicates()
        self._content = blake2b(digest_size=16)
        self._rows: list[tuple[str, str, str]] = []
        self._given: dict[str, str] = {}

    def add(self, paths: Sequence[str], facts: Sequence[dict[str, Any]], scores: pa.Table) -> None:
        """Add files: a row of ``facts`` for each, of ``scores`` for each that could be read and has notes."""
        rows, kept, place = [], [], 0
        for path, fact in zip(paths, facts, strict=True):
            row = self._judge(path, fact)
            if row is not None:
                rows.append(row)
                kept.append(place)
            place += bool(fact["num_notes"])
        if len(kept) < len(scores):
            scores = scores.take(pa.array(kept, pa.int64()))
        if rows:
            head = pa.Table.from_pylist(rows, pa.schema(list(self._pieces.schema)[: -len(scores.schema)]))
            self._pieces.add(pa.table([*head.columns, *scores.columns], schema=self._pieces.schema))

    def finish(self, *, seed: int, fractions: tuple[float, float, float]) -> dict[str, Any]:
        """Close all files, split the pieces, write ``corpus.json`` and return what it says."""
        self._pieces.close()
        self.ledger.close()
        groups = [group for _, _, group in self._rows]
        split_of = split_by_group(groups, seed=seed, fractions=fractions, given=self._given)
        ids, paths, _ = zip(*self._rows, strict=True) if self._rows else ((), (), ())
        names = [split_of[group] for group in groups]
        columns = [pa.array(column, pa.string()) for column in (ids, paths, groups, names)]
        splits = pa.table(columns, schema=SPLITS_SCHEMA)
        pq.write_table(splits, self.folder / "splits.parquet", compression="zstd")
        self._content.update(repr(self.labels.names).encode())
        content = self._content.hexdigest()
        in_split = Counter(names)
        info = {
            "schema": SCHEMA,
            "version": VERSION,
            "content": content,
            "digest": digest_of_splits(content, splits),
            "num_pieces": len(self._rows),
            "piece_files": self._pieces.count,
            "notes": self.notes,
            "hours": self.seconds / 3600,
            "groups": len(split_of),
            "splits": {name: in_split[name] for name in SPLITS},
            "labels": list(self.labels.names),
            "licences": dict(sorted(self.licences.items())),
            "files": dict(self.ledger.counts),
            "settings": {"seed": seed, "fractions": list(fractions), "licence": self.licence},
        }
        write_json(self.folder / "corpus.json", info)
        return info

    def abandon(self) -> None:
        """Give up writing; the folder is going to be removed."""
        self._pieces.abandon()
        self.ledger.abandon()

    def _judge(self, path: str, fact: dict[str, Any]) -> dict[str, Any] | None:
        """Enter a file into the ledger; return its row among the pieces if it is accepted."""
        sha256, piece_id = fact["sha256"], fact["id"]
        if fact["reason"] is not None:
            self.ledger.add(path, "rejected", sha256=sha256, reason=fact["reason"])
            return None
        broken = broken_rule(fact["num_notes"], fact["duration_sec"])
        if broken is not None:
            self.ledger.add(path, "filtered", sha256=sha256, rule=broken[0], value=broken[1])
            return None
        first = self._seen.first(piece_id, path)
        if first != path:
            self.ledger.add(path, "duplicate", sha256=sha256, duplicate_of=first, id=piece_id)
            return None
        self.ledger.add(path, "accepted", sha256=sha256, id=piece_id)
        return self._accept(path, fact)

    def _accept(self, path: str, fact: dict[str, Any]) -> dict[str, Any]:
        said = self.labels.of.get(path, NOTHING)
        group = said.group or fact["id"]
        self._rows.append((fact["id"], path, group))
        if said.split:
            self._given[group] = said.split
        self.notes += fact["num_notes"]
        self.seconds += fact["duration_sec"]
        self._content.update(fact["content"])
        self._content.update(repr(sorted(said.labels.items())).encode())
        row = {field.name: fact.get(field.name) for field in PIECE_FIELDS}
        row |= {"path": path, "licence": said.licence or self.licence, "source": said.source or self.source}
        self.licences[row["licence"] or "unknown"] += 1
        return row | {LABEL_PREFIX + name: value for name, value in said.labels.items()}


class PieceFiles:
    """Writes ``pieces-*.parquet``: row groups of bounded size, files of bounded size."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.schema = schema
        self.count = 0
        self._folder = folder
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = 0
        self._file_bytes = 0
        self._open()

    def add(self, pieces: pa.Table) -> None:
        """Add rows."""
        self._waiting.append(pieces)
        self._waiting_bytes += pieces.nbytes
        if self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what waits; there is at least one file, be it without rows."""
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Give up writing."""
        abandon(self._writer)

    def _flush(self) -> None:
        if not self._waiting:
            return
        if self._file_bytes >= FILE_BYTES:
            self._writer.close()
            self._open()
        group = pa.concat_tables(self._waiting)
        self._writer.write_table(group, row_group_size=max(1, len(group)))
        self._file_bytes += self._waiting_bytes
        self._waiting, self._waiting_bytes = [], 0

    def _open(self) -> None:
        file = self._folder / f"pieces-{self.count:05d}.parquet"
        self._writer = open_writer(file, self.schema)
        self.count += 1
        self._file_bytes = 0
