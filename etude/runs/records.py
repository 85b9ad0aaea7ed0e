"""Append-only records: one JSON object a line, written in one piece.

A record is ``{"step": …, "kind": "train" | "valid" | …, name: number, …}``. Numbers that are not finite are
kept as the strings ``nan``, ``inf`` and ``-inf``, since JSON has no such numbers. A last line that was torn
off by a crash is passed over in reading and cut off before the next record.
"""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from etude.errors import RunError
from etude.files import draft


class Records:
    """Appends to one file of records; costs the same however long the file is.

    Args:
        path: the file; made if it is missing.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._handle = self._open()

    def append(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Write one record as one line.

        Raises:
            RunError: the disk is full or gone; the file then ends with the record before.
        """
        line = json.dumps({"step": step, "kind": kind} | {name: _for_json(value) for name, value in values.items()})
        data = line.encode() + b"\n"
        before = os.fstat(self._handle).st_size
        try:
            whole = os.write(self._handle, data) == len(data)
            reason = "the disk is full"
        except OSError as error:
            whole, reason = False, error.strerror
        if not whole:
            os.ftruncate(self._handle, before)
            raise RunError(f"{self.path}: a record of step {step} cannot be written: {reason}; free some space")

    def drop_after(self, step: int) -> None:
        """Remove records of later steps, so that a resumed run's file equals an uninterrupted one's."""
        kept = [record for record in read_records(self.path) if record["step"] <= step]
        self.close()
        with draft(self.path) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in kept))
        self._handle = self._open()

    def sync(self) -> None:
        """Return once every record is on the disk."""
        os.fsync(self._handle)

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = -1

    def _open(self) -> int:
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o666)
        except OSError as error:
            raise RunError(f"{self.path}: cannot be written: {error.strerror}") from None
        os.ftruncate(handle, _end_of_last_line(handle))
        return handle


def read_records(path: Path | str, *, kind: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the records of a file, oldest first; nothing if there is no file.

    Args:
        path: a ``metrics.jsonl``.
        kind: only these.

    Raises:
        RunError: a line before the last one is not a record.
    """
    path = Path(path)
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            record = _parse(line, f"{path}: line {number}")
            if kind in (None, record["kind"]):
                yield record


def curve(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each evaluation, with the means of training since the one before.

    Example:
        >>> valid = {"kind": "valid", "nats_per_token": 2.0, "accuracy": 0.5}
        >>> train = {"step": 10, "kind": "train", "loss": 3.0, "accuracy": 0.3, "lr": 0.1}
        >>> rows = curve([{"step": 0} | valid, train, train | {"loss": 2.0, "step": 20}, {"step": 20} | valid])
        >>> rows[1]["train_loss"]
        2.5
    """
    rows, since = [], []
    for record in records:
        if record["kind"] == "train":
            since.append(record)
        if record["kind"] != "valid":
            continue
        row = {"step": record["step"], "lr": since[-1].get("lr", "") if since else ""}
        for name in ("loss", "accuracy"):
            values = [float(one[name]) for one in since if name in one]
            row[f"train_{name}"] = sum(values) / len(values) if values else ""
        row |= {"valid_loss": record.get("nats_per_token", ""), "valid_accuracy": record.get("accuracy", "")}
        row |= {f"valid_{name}": record.get(name, "") for name in ("nats_per_note", "nats_per_sec")}
        rows.append(row)
        since = []
    return rows


def columns_of(records: list[dict[str, Any]]) -> list[str]:
    """Return the names of all values in the order they first appear.

    Example:
        >>> columns_of([{"step": 1, "loss": 2.0}, {"step": 1, "accuracy": 0.5}])
        ['step', 'loss', 'accuracy']
    """
    return list(dict.fromkeys(name for record in records for name in record))


def _parse(line: bytes, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
        return {"step": int(record["step"]), "kind": str(record["kind"])} | record
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{place}: not a record; expected one JSON object with step and kind") from None


def _for_json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _for_json(inner) for name, inner in value.items()}
    return value


def _end_of_last_line(handle: int) -> int:
    """Bytes up to and including the last newline."""
    end = os.fstat(handle).st_size
    while end > 0:
        start = max(0, end - 65536)
        at = os.pread(handle, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0
