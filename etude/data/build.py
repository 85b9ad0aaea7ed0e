"""Build the files of a corpus from facts and columns, in the order in which they come.

Memory is bounded by one row group of music; besides, a digest and a path of each piece are kept.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from etude.data.corpus import LABEL_PREFIX, PIECE_FIELDS, SCHEMA, VERSION, piece_schema
from etude.data.digests import ContentDigest
from etude.data.division import KnownPieces, divide, write_division
from etude.data.duplicates import ExactDuplicates
from etude.data.labels import NOTHING, FileLabels, Labels
from etude.data.ledger import Ledger
from etude.data.licences import LicenceDigest, allowed
from etude.data.near import SKETCHES, SketchFile, find_near
from etude.data.parquet import abandon, open_writer
from etude.data.parse import FACTS_SCHEMA
from etude.data.prepare_settings import PrepareSettings
from etude.fingerprints import SKETCH_FIELDS

ROW_GROUP_NOTES = 1 << 20
"""A row group ends after the piece with which it has so many notes: 24 MB of columns."""
FILE_NOTES = 48 << 20
"""Notes after which a new pieces-*.parquet begins."""


class Builder:
    """Takes pieces in the order of their names, decides what becomes of each, and writes the corpus.

    Args:
        folder: an empty folder.
        labels: what is known of each path beforehand.
        settings: how the corpus is made.
        source: of files whose labels name none.
    """

    def __init__(self, folder: Path, *, labels: Labels, settings: PrepareSettings, source: str | None) -> None:
        self.folder = folder
        self.labels = labels
        self.settings = settings
        self.source = source
        self.ledger = Ledger(folder / "ledger.parquet")
        self.notes = 0
        self.seconds = 0.0
        self.licences: Counter[str] = Counter()
        self._pieces = PieceFiles(folder, piece_schema(labels.names))
        self._sketches = SketchFile(folder / SKETCHES) if settings.near_duplicates else None
        self._seen = ExactDuplicates()
        self._content = ContentDigest()
        self._known = KnownPieces(settings.group_by)
        self._licence_digest = LicenceDigest()

    def add(self, paths: Sequence[str], facts: pa.Table, scores: pa.Table) -> None:
        """Add pieces: a row of ``facts`` for each, of ``scores`` for each that is to be kept, see ``parse``."""
        rows, kept, with_score, place = [], [], [], 0
        for k, (path, fact) in enumerate(zip(paths, facts.select(FACTS_SCHEMA.names).to_pylist(), strict=True)):
            row = self._judge(path, fact)
            if row is not None:
                rows.append(row)
                kept.append(k)
                with_score.append(place)
            place += fact["id"] is not None
        if not rows:
            return
        if len(kept) < len(scores):
            scores = scores.take(pa.array(with_score, pa.int64()))
        head = pa.Table.from_pylist(rows, pa.schema(list(self._pieces.schema)[: -len(scores.schema)]))
        self._pieces.add(pa.table([*head.columns, *scores.columns], schema=self._pieces.schema))
        if self._sketches:
            sketches = facts.select(["id", *(field.name for field in SKETCH_FIELDS)])
            self._sketches.add(sketches if len(kept) == len(facts) else sketches.take(pa.array(kept, pa.int64())))

    def finish(self) -> dict[str, Any]:
        """Close all files, group and split the pieces, write ``corpus.json`` and return what it says."""
        self._pieces.close()
        self.ledger.close()
        if self._sketches:
            self._sketches.close()
        settings = self.settings
        near = find_near(self.folder / SKETCHES) if settings.near_duplicates else None
        divided = divide(self._known, near, settings)
        info = {
            "schema": SCHEMA,
            "version": VERSION,
            "content": self._content.finish(self.labels.names),
            "num_pieces": len(self._known.ids),
            "piece_files": self._pieces.count,
            "notes": self.notes,
            "hours": self.seconds / 3600,
            "labels": list(self.labels.names),
            "licences": dict(sorted(self.licences.items())),
            "licence_digest": self._licence_digest.hexdigest(),
            "files": dict(self.ledger.counts),
            "rules": dict(sorted(self.ledger.rules.items())),
            "settings": settings.plain(),
        }
        return write_division(self.folder, divided, info)

    def abandon(self) -> None:
        """Give up writing; the folder is going to be removed."""
        self._pieces.abandon()
        self.ledger.abandon()
        if self._sketches:
            self._sketches.abandon()

    def _judge(self, path: str, fact: dict[str, Any]) -> dict[str, Any] | None:
        """Enter a file into the ledger; return its row among the pieces if it is accepted."""
        said = self.labels.of.get(path, NOTHING)
        known = {"sha256": fact["sha256"], "licence": said.licence, "source": said.source or self.source}
        known["given_group"] = said.group
        if fact["reason"] is not None:
            self.ledger.add(path, "rejected", reason=fact["reason"], **known)
            return None
        broken, reason = list(zip(fact["broken_rules"] or (), fact["broken_values"] or (), strict=True)), None
        if not broken and self.settings.allow_licence and not allowed(said.licence, self.settings.allow_licence):
            broken, reason = [("licence", None)], said.licence or "unknown"
        if broken:
            (rule, value), listed = broken[0], [f"{name}={reason if v is None else f'{v:g}'}" for name, v in broken]
            self.ledger.add(path, "filtered", rule=rule, value=value, broken=listed, reason=reason, **known)
            return None
        first = self._seen.first(fact["id"], path)
        if first != path:
            self.ledger.add(path, "duplicate", duplicate_of=first, id=fact["id"], **known)
            if said.group is not None:
                self._known.copies.append((fact["id"], said.group))
            return None
        self.ledger.add(path, "accepted", id=fact["id"], **known)
        return self._accept(path, fact, said)

    def _accept(self, path: str, fact: dict[str, Any], said: FileLabels) -> dict[str, Any]:
        self._known.add(fact["id"], path, said)
        self.notes += fact["num_notes"]
        self.seconds += fact["duration_sec"]
        self._content.add(fact["content"], said.labels)
        row = {field.name: fact.get(field.name) for field in PIECE_FIELDS}
        row |= {"path": path, "licence": said.licence, "source": said.source or self.source}
        row |= {"given_group": said.group, "given_split": said.split}
        self.licences[row["licence"] or "unknown"] += 1
        self._licence_digest.add(fact["id"], row["licence"], row["source"])
        return row | {LABEL_PREFIX + name: value for name, value in said.labels.items()}


class PieceFiles:
    """Writes ``pieces-*.parquet``: row groups of bounded size, files of bounded size.

    Both end after the piece that reaches a number of notes, however the pieces were handed in.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.schema = schema
        self.count = 0
        self._folder = folder
        self._waiting: list[pa.Table] = []
        self._waiting_notes = 0
        self._file_notes = 0
        self._open()

    def add(self, pieces: pa.Table) -> None:
        """Add rows."""
        while len(pieces):
            notes = self._waiting_notes + np.cumsum(pieces["num_notes"].to_numpy())
            full = int(np.searchsorted(notes, ROW_GROUP_NOTES)) + 1
            self._waiting.append(pieces[:full])
            self._waiting_notes = int(notes[min(full, len(pieces)) - 1])
            if full > len(pieces):
                return
            self._flush()
            pieces = pieces[full:]

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
        if self._file_notes >= FILE_NOTES:
            self._writer.close()
            self._open()
        group = pa.concat_tables(self._waiting)
        self._writer.write_table(group, row_group_size=max(1, len(group)))
        self._file_notes += self._waiting_notes
        self._waiting, self._waiting_notes = [], 0

    def _open(self) -> None:
        file = self._folder / f"pieces-{self.count:05d}.parquet"
        self._writer = open_writer(file, self.schema)
        self.count += 1
        self._file_notes = 0
