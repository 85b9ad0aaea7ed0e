"""Token shards: the ids of every piece of a corpus, memory-mapped, sealed with their tokenizer.

A shard folder holds

    tokens-00000.npy …   the ids of all pieces, end to end in the order of the corpus; each piece is its
                         ids and then END. uint16, or uint32 for vocabularies over 65,535 ids; one id a step,
                         or, of compound ids, a row of Q ids, and a row of END
    index.parquet        a row a piece: id, file, offset and length [steps], notes, seconds
    tokens.json          schema, version, tokenizer and its hash, digest of the pieces, totals; num_codebooks Q
                         where there are more than one

and lies in ``<corpus>/tokens/<hash of the tokenizer>/``, or, when the corpus is read-only, in
``$XDG_CACHE_HOME/etude/tokens/<digest of the pieces>/<hash>/``. Which piece is in which split is read
from the corpus, so a new split needs no new shards.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from etude.data.token_files import SCHEMA, VERSION
from etude.errors import TokenError


class Shards:
    """The tokens of a corpus, opened for reading.

    Attributes:
        path: the folder.
        tokenizer: what made the ids.
        piece_ids: id of each piece, a pyarrow string array of P rows in the order of the corpus.
        lengths: steps of each piece, its END counted; int64 (P,).
        notes: notes of each piece; int64 (P,).
        seconds: seconds of music of each piece; float64 (P,).
        num_tokens: sum of ``lengths``.
    """

    def __init__(self, path: Path, tokenizer: Any, index: pa.Table, splits: pa.Table | None) -> None:
        self.path = path
        self.tokenizer = tokenizer
        self.piece_ids = index["id"].combine_chunks()
        self.lengths = index["length"].to_numpy()
        self.notes = index["notes"].to_numpy()
        self.seconds = index["seconds"].to_numpy()
        self.num_tokens = int(self.lengths.sum())
        self._file = index["file"].to_numpy()
        self._offset = index["offset"].to_numpy()
        self._splits = splits
        self._tokens = [np.load(file, mmap_mode="r") for file in sorted(path.glob("tokens-*.npy"))]

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        return f"Shards({str(self.path)!r}: {len(self)} pieces, {self.num_tokens} tokens)"

    @classmethod
    def open(cls, path: Path | str, tokenizer: Any, *, splits: pa.Table | None = None) -> "Shards":
        """Open a shard folder.

        Args:
            path: the folder.
            tokenizer: the tokenizer that the ids are meant for.
            splits: ``Corpus.splits``; by default that of the corpus the folder lies in.

        Raises:
            TokenError: nothing is there, it is damaged, or another tokenizer made it.
        """
        path = Path(path)
        seal = read_seal(path)
        if seal["hash"] != tokenizer.hash:
            kind = seal.get("tokenizer", {}).get("kind", "another")
            raise TokenError(
                f"{path}: made by tokenizer {kind} {seal['hash']}, not by {tokenizer.kind} {tokenizer.hash}; "
                f"open it with the tokenizer that made it, or run `etude tokenize` again"
            )
        if splits is None and (path.parents[1] / "splits.parquet").is_file():
            splits = pq.read_table(path.parents[1] / "splits.parquet")
        try:
            shards = cls(path, tokenizer, pq.read_table(path / "index.parquet"), splits)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            what = " ".join(str(error).split())
            raise TokenError(f"{path}: damaged ({what}); remove it and tokenize again") from error
        step = seal.get("num_codebooks", 1)
        held = sum(len(tokens) for tokens in shards._tokens if tokens.size == step * len(tokens))
        if (held, len(shards)) != (seal["num_tokens"], seal["num_pieces"]):
            raise TokenError(
                f"{path}: holds {held} ids of {len(shards)} pieces, tokens.json says {seal['num_tokens']} of "
                f"{seal['num_pieces']}; remove it and tokenize again"
            )
        return shards

    def ids(self, row: int) -> np.ndarray:
        """Return the ids of one piece, END last, as a read-only view of the file: uint16 or uint32 (N,) or (N, Q)."""
        start = self._offset[row]
        return self._tokens[self._file[row]][start : start + self.lengths[row]]

    def split_rows(self, split: str) -> np.ndarray:
        """Return the row numbers of the pieces of one split, int64, ascending.

        Raises:
            TokenError: the shards were opened without the splits of their corpus.
        """
        if self._splits is None:
            raise TokenError(f"{self.path}: not inside a corpus; give Shards.open the splits of its corpus")
        inside = self._splits["id"].filter(pc.equal(self._splits["split"], split))
        return np.flatnonzero(pc.is_in(self.piece_ids, value_set=inside.combine_chunks())).astype(np.int64)


def read_seal(path: Path) -> dict[str, Any]:
    """Return ``tokens.json`` of a shard folder.

    Raises:
        TokenError: it is missing, damaged or of another schema version.
    """
    file = path / "tokens.json"
    try:
        seal = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise TokenError(f"{path}: no token shards here; make them with `etude tokenize`") from None
    except (OSError, ValueError) as error:
        raise TokenError(f"{file}: unreadable ({error}); remove {path} and tokenize again") from error
    found = (seal.get("schema"), seal.get("version")) if isinstance(seal, dict) else None
    if found != (SCHEMA, VERSION):
        raise TokenError(
            f"{file}: schema and version are {found}, expected {(SCHEMA, VERSION)}; "
            f"remove the folder and tokenize again"
        )
    return seal
