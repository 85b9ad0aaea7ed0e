"""Pieces of a corpus in any order, by row: a copy of them, uncompressed, that is mapped into memory.

Parquet gives a million notes for one piece that is asked for; augmentation asks for pieces all over the corpus. The
copy is made when it is first needed, in ``<corpus>/unpacked/``, or, when the corpus is read-only, in
``$XDG_CACHE_HOME/etude/unpacked/<digest of the pieces>/``:

    pieces.arrow   the columns of pieces-*.parquet, some rows a batch, in the order of the corpus
    pieces.json    schema, version, digest of the pieces, rows of each batch
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from etude.data.builtin import cache_dir
from etude.data.corpus import LABEL_PREFIX, PIECE_FIELDS, Corpus, Piece, pieces_of
from etude.data.lock import writing
from etude.data.tokenize import can_write
from etude.errors import CorpusError
from etude.files import draft_folder, write_json
from etude.music.table import SCORE_SCHEMA

SCHEMA = "etude-unpacked"
VERSION = 1
_FACTS = [field.name for field in PIECE_FIELDS if field.name not in ("sha256", "given_group", "given_split")]


class PieceFile:
    """The pieces of a corpus, read one at a time, in any order and from any thread.

    Attributes:
        path: the folder of the copy.
    """

    def __init__(self, path: Path, rows: list[int]) -> None:
        self.path = path
        self._ends = np.cumsum(rows)
        self._reader = pa.ipc.open_file(pa.memory_map(str(path / "pieces.arrow")))
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def piece(self, row: int) -> Piece:
        """Return the piece of a row, its Score included."""
        batch = int(np.searchsorted(self._ends, row, side="right"))
        with self._lock:
            rows = self._reader.get_batch(batch)
        place = row - int(self._ends[batch]) + len(rows)
        return next(pieces_of(rows.slice(place, 1)))


def open_pieces(corpus: Corpus, *, say: Callable[[str], None] | None = None) -> PieceFile:
    """Return the pieces of a corpus for reading in any order; the copy is made now unless it is there.

    Args:
        corpus: the corpus.
        say: called with a line of text when the copy has to be made.

    Raises:
        CorpusError: the corpus is damaged.
        EtudeError: the disk is full.
    """
    folder = corpus.path / "unpacked"
    if not (folder / "pieces.json").is_file() and not can_write(corpus.path):
        folder = cache_dir() / "unpacked" / corpus.content
    if _rows_of(folder, corpus) is None:
        with writing(folder, wait=True):
            if _rows_of(folder, corpus) is None:
                if say:
                    say(f"unpacking {len(corpus)} pieces into {folder}, to vary them in training")
                _write(folder, corpus)
    try:
        return PieceFile(folder, _rows_of(folder, corpus) or [])
    except (OSError, pa.ArrowException) as error:
        what = " ".join(str(error).split())
        raise CorpusError(f"{folder}: damaged ({what}); remove it, it will be made again") from error


def _rows_of(folder: Path, corpus: Corpus) -> list[int] | None:
    """Return the rows of each batch if a copy of this very corpus is there."""
    try:
        seal: dict[str, Any] = json.loads((folder / "pieces.json").read_bytes())
    except (OSError, ValueError):
        return None
    is_same = (seal.get("schema"), seal.get("version"), seal.get("content")) == (SCHEMA, VERSION, corpus.content)
    return seal["rows"] if is_same else None


def _write(folder: Path, corpus: Corpus) -> None:
    names = [*_FACTS, *(LABEL_PREFIX + name for name in corpus.info["labels"]), *SCORE_SCHEMA.names]
    rows: list[int] = []
    with draft_folder(folder) as draft, (draft / "pieces.arrow").open("wb") as file:
        writer = None
        for batch in corpus.tables(names):
            writer = writer or pa.ipc.new_file(file, batch.schema)
            writer.write_batch(batch)
            rows.append(len(batch))
        if writer is None:
            raise CorpusError(f"{corpus.path}: has no pieces; prepare it from another folder")
        writer.close()
        write_json(
            draft / "pieces.json", {"schema": SCHEMA, "version": VERSION, "content": corpus.content, "rows": rows}
        )
