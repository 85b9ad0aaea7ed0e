"""Compares a corpus with the folder that it was made of: what is missing there, what has changed, what is new."""

from hashlib import sha256
from pathlib import Path

from etude.data.doctor import Patient
from etude.data.inputs import SUFFIXES, Input, find_inputs, read_bytes
from etude.errors import EtudeError

_MAX_BYTES = 1 << 40


def check_files(patient: Patient, folder: Path | str | None) -> None:
    """Examine whether every file that was seen is still there with the bytes that it had.

    Files that the ledger does not know are noted.

    Raises:
        CorpusError: there is no such folder, or nothing in it could be read.
    """
    check = patient.checks["source files"]
    if folder is None or patient.ledger is None:
        check.skipped = "the ledger is missing" if folder is not None else "no folder was named; see --files"
        return
    formats = patient.info.get("settings", {}).get("formats") or tuple(SUFFIXES)
    here = {one.name: one for one in find_inputs(folder, formats)}
    seen = patient.ledger.select(["path", "sha256"]).to_pylist()
    for row in seen:
        one = here.pop(row["path"], None)
        if one is None:
            check.add(f"{row['path']} is missing in {folder}", [row["path"]])
        elif row["sha256"] is not None and (problem := _difference(one, row["sha256"])):
            check.add(f"{row['path']} {problem}", [row["path"]])
    if here:
        first = next(iter(here))
        new = "1 file is" if len(here) == 1 else f"{len(here):,} files are"
        patient.notes.append(f"{folder}: {new} new since the corpus was made, such as {first}")


def _difference(one: Input, digest: str) -> str | None:
    try:
        found = sha256(read_bytes(one, at_most=_MAX_BYTES)).hexdigest()
    except EtudeError as error:
        return f"can no longer be read: {error}"
    return None if found == digest else "has other bytes than when the corpus was made"
