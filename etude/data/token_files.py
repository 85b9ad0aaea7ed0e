"""Write token shards: the ids of one piece after the other, bounded memory, whole or not at all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from etude.data.corpus import Corpus, Piece
from etude.errors import TokenError, nearest
from etude.files import draft_folder, write_json
from etude.music.score import Score

SCHEMA = "etude-tokens"
VERSION = 1
FILE_IDS = 1 << 28
"""Ids after which a new tokens-*.npy begins; a piece lies in one file."""
INDEX_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("file", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
        pa.field("notes", pa.int64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
    ]
)


def write_shards(
    folder: Path, corpus: Corpus, tokenizer: Any, progress: Callable[[int, int], None] | None = None
) -> None:
    """Encode every piece of a corpus into ``folder``, see ``etude.data.shards`` for the files.

    Raises:
        TokenError: a piece cannot be encoded, or the tokenizer asks for a label that the corpus does not have.
        EtudeError: the disk is full.
    """
    missing = [name for name in getattr(tokenizer, "label_names", ()) if name not in corpus.info["labels"]]
    if missing:
        raise TokenError(
            f"{corpus.path}: attribute '{missing[0]}' of tokenizer {tokenizer.kind}: no such label; "
            f"{nearest(missing[0], corpus.info['labels'])}"
        )
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 65_535 else "<u4")
    with draft_folder(folder) as draft:
        index: dict[str, list] = {name: [] for name in INDEX_SCHEMA.names}
        with TokenFiles(draft, dtype, tokenizer.num_codebooks) as files:
            for done, piece in enumerate(corpus.pieces(), start=1):
                try:
                    ids = ids_of_piece(tokenizer, piece)
                except TokenError as error:
                    raise TokenError(f"{corpus.path}: {piece.path}: {error}") from error
                notes, seconds = tokenizer.measure(ids)
                end = np.full_like(ids, tokenizer.end_id, shape=(1, *ids.shape[1:]))
                file, offset = files.add(np.concatenate([ids, end]))
                row = (piece.id, file, offset, len(ids) + 1, notes, seconds)
                for column, value in zip(index.values(), row, strict=True):
                    column.append(value)
                if progress:
                    progress(done, len(corpus))
        table = pa.table(index, schema=INDEX_SCHEMA)
        pq.write_table(table, draft / "index.parquet", compression="zstd")
        seal = {
            "schema": SCHEMA,
            "version": VERSION,
            "tokenizer": tokenizer.to_json(),
            "hash": tokenizer.hash,
            "vocab_size": tokenizer.vocab_size,
            "content": corpus.content,
            "dtype": dtype.name,
            "num_pieces": len(table),
            "num_tokens": sum(index["length"]),
            "notes": int(sum(index["notes"])),
            "seconds": float(sum(index["seconds"])),
        }
        if tokenizer.num_codebooks > 1:
            seal["num_codebooks"] = tokenizer.num_codebooks
        write_json(draft / "tokens.json", seal)


def ids_of_piece(tokenizer: Any, piece: Piece, score: Score | None = None) -> np.ndarray:
    """Return the ids of a piece of a corpus, without END.

    Tokenizers that write what is known of a piece, such as its labels, have ``encode_piece``; others ``encode``.

    Args:
        tokenizer: any.
        piece: the piece.
        score: its music, if not as it is in the corpus.
    """
    piece = piece if score is None else replace(piece, score=score)
    encode_piece = getattr(tokenizer, "encode_piece", None)
    return tokenizer.encode(piece.score) if encode_piece is None else encode_piece(piece)


class TokenFiles:
    """Writes ``tokens-*.npy`` of unknown length: the header is filled in when a file is complete."""

    def __init__(self, folder: Path, dtype: np.dtype, num_codebooks: int = 1) -> None:
        self._folder = folder
        self._dtype = dtype
        self._step = (num_codebooks,) if num_codebooks > 1 else ()
        self._file_steps = -(-FILE_IDS // num_codebooks)
        self._number = -1
        self._count = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> "TokenFiles":
        self._open()
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None:
            self._close()
        else:
            self._file.close()

    def add(self, ids: np.ndarray) -> tuple[int, int]:
        """Append the steps of one piece; return the file's number and the place of the first step in it."""
        if self._count >= self._file_steps:
            self._close()
            self._open()
        at = self._count
        self._file.write(ids.astype(self._dtype).data)
        self._count += len(ids)
        return self._number, at

    def _open(self) -> None:
        self._number += 1
        self._count = 0
        self._file = (self._folder / f"tokens-{self._number:05d}.npy").open("wb")
        self._write_header()

    def _close(self) -> None:
        with self._file:
            self._file.seek(0)
            # numpy pads headers so that a longer first axis fits into the same bytes
            self._write_header()

    def _write_header(self) -> None:
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._count, *self._step)}
        np.lib.format.write_array_header_1_0(self._file, header)
