"""Digests: what stands for a piece, for all pieces with their labels, and for a corpus with its splits."""

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from etude.music.score import Score


def digest_of_score(score: Score) -> bytes:
    """Return 16 bytes that stand for everything in a score, in the order it is in."""
    digest = blake2b(str(score.ppq).encode(), digest_size=16)
    digest.update(json.dumps([(t.program, t.is_drum, t.name) for t in score.tracks]).encode())
    for name in ("notes", "tempos", "time_signatures", "key_signatures", "controls", "pitch_bends", "texts"):
        table = getattr(score, name)
        digest.update(f"{name}{len(table)}".encode())
        for values in table.columns().values():
            whole = isinstance(values, np.ndarray)
            digest.update(np.ascontiguousarray(values, "<i4") if whole else json.dumps(values).encode())
    return digest.digest()


class ContentDigest:
    """Stands for the pieces of a corpus, in their order, with their labels; add piece after piece."""

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=16)

    def add(self, score_digest: bytes, labels: Mapping[str, str | None]) -> None:
        """Add the next piece: what ``digest_of_score`` says of it, and its labels; None is no label."""
        known = sorted((name, value) for name, value in labels.items() if value is not None)
        self._digest.update(score_digest + json.dumps(known).encode())

    def finish(self, label_names: Sequence[str]) -> str:
        """Add the names of the label columns and return 32 hex digits."""
        self._digest.update(json.dumps(list(label_names)).encode())
        return self._digest.hexdigest()


def digest_of_splits(content: str, splits: pa.Table) -> str:
    """Return the digest of a corpus: of its pieces and of the split of each."""
    digest = blake2b(content.encode(), digest_size=16)
    for split in splits["split"].to_pylist():
        digest.update(f"{split},".encode())
    return digest.hexdigest()
