"""From MIDI files to columns; runs in worker processes.

For each request two Arrow tables go back as one byte string: a fact row for every file, and the piece
columns of those files that could be read and hold notes.
"""

import json
import stat
from collections.abc import Callable, Sequence
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np
import pyarrow as pa

from etude.errors import MidiError
from etude.music.midi import read_midi
from etude.music.score import Score
from etude.music.table import scores_to_arrow

MAX_FILE_BYTES = 64 << 20
"""Larger files are rejected: the largest MIDI files that hold music have a few megabytes."""

FACTS_SCHEMA = pa.schema(
    [
        pa.field("sha256", pa.string()),
        pa.field("id", pa.string()),
        pa.field("content", pa.binary()),
        pa.field("num_notes", pa.int64()),
        pa.field("duration_sec", pa.float64()),
        pa.field("reason", pa.string()),
    ]
)


def parse_files(items: Sequence[str], begin: Callable[[], None]) -> bytes:
    """Read files; items are JSON strings of paths, for a path may hold any bytes."""
    facts, scores = [], []
    for item in items:
        begin()
        fact, score = _parse_file(Path(json.loads(item)))
        facts.append(fact)
        scores.append(score if fact.get("num_notes") else None)
    try:
        columns = scores_to_arrow([score for score in scores if score is not None])
    except Exception:
        columns = _reject_what_has_no_columns(facts, scores)
    return pack(pa.RecordBatch.from_pylist(facts, FACTS_SCHEMA), columns)


def facts_of_score(score: Score) -> dict[str, object]:
    """Return the facts of a piece that do not depend on its file."""
    return {
        "id": score.content_digest(),
        "content": digest_of_score(score),
        "num_notes": len(score.notes),
        "duration_sec": score.duration_sec,
    }


def digest_of_score(score: Score) -> bytes:
    """Return 16 bytes that stand for everything in a score, in the order it is in."""
    digest = blake2b(str(score.ppq).encode(), digest_size=16)
    digest.update(json.dumps([(t.program, t.is_drum, t.name) for t in score.tracks]).encode())
    for name in ("notes", "tempos", "time_signatures", "key_signatures", "controls", "pitch_bends", "texts"):
        table = getattr(score, name)
        digest.update(f"{name}{len(table)}".encode())
        for values in table.columns().values():
            whole = isinstance(values, np.ndarray)
            digest.update(values.astype("<i4").tobytes() if whole else json.dumps(values).encode())
    return digest.digest()


def pack(*batches: pa.RecordBatch) -> bytes:
    """Return batches as Arrow IPC streams, one after the other."""
    sink = pa.BufferOutputStream()
    for batch in batches:
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write(batch)
    return sink.getvalue().to_pybytes()


def unpack(data: bytes) -> list[pa.Table]:
    """Return the tables that ``pack`` was given, without copying."""
    source = pa.BufferReader(data)
    tables = []
    while source.tell() < source.size():
        tables.append(pa.ipc.open_stream(source).read_all())
    return tables


def _parse_file(path: Path) -> tuple[dict[str, object], Score | None]:
    facts: dict[str, object] = {}
    try:
        data = _read(path)
        facts["sha256"] = sha256(data).hexdigest()
        score = read_midi(data)
        return facts | facts_of_score(score), score
    except MidiError as error:
        reason = str(error)
    except MemoryError:
        reason = "needs more memory than there is"
    except Exception as error:
        # a fault of the reader must cost one file, not the corpus
        reason = f"the reader failed: {type(error).__name__}: {error}"
    return _rejected(facts.get("sha256"), reason), None


def _reject_what_has_no_columns(facts: list[dict[str, object]], scores: list[Score | None]) -> pa.RecordBatch:
    """Find the scores that columns cannot hold, such as impossible text, and return the columns of the others."""
    kept = []
    for place, score in enumerate(scores):
        if score is None:
            continue
        try:
            scores_to_arrow([score])
            kept.append(score)
        except Exception as error:
            facts[place] = _rejected(facts[place]["sha256"], f"the reader failed: {type(error).__name__}: {error}")
    return scores_to_arrow(kept)


def _rejected(sha256: object, reason: str) -> dict[str, object]:
    plain = reason.encode("utf-8", "backslashreplace").decode()
    return {"sha256": sha256, "reason": " ".join(plain.split())}


def _read(path: Path) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise MidiError("not a regular file")
        if found.st_size > MAX_FILE_BYTES:
            raise MidiError(f"{found.st_size} bytes; at most {MAX_FILE_BYTES} are read")
        return path.read_bytes()
    except OSError as error:
        raise MidiError(f"cannot be read: {error.strerror or error}") from error
