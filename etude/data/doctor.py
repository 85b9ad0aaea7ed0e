"""The check-up of a corpus: is it whole, does it say what it holds, does anything leak from one split into another?

Every problem names the files it is about. Memory holds the splits and the ledger, a few hundred bytes a file, one
batch of music, and what the search for near duplicates takes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from etude.data.corpus import SPLITS_SCHEMA, read_info
from etude.errors import CorpusError, nearest

MOST_LISTED = 100
"""Problems of one kind that are told one by one."""

CHECKS = {
    "tables": "every table is there and can be read",
    "totals": "corpus.json says what the tables hold",
    "pieces": "lengths, counts and ids are those of the notes",
    "ledger": "every file has one row, and every piece the row of its file",
    "exact duplicates": "no two pieces have the same notes",
    "groups": "no group is in two splits",
    "near duplicates": "no variants of one piece are in different splits",
    "labels": "no value of the labels that are asked for is in two splits",
    "source files": "the files are those that the corpus was made of",
}

Progress = Callable[[int, int], None]


@dataclass
class Check:
    """What one kind of examination found.

    Attributes:
        problems: how many.
        listed: the first of them: ``message``, and ``files``, the paths it is about.
        skipped: why it could not be made, or None.
    """

    problems: int = 0
    listed: list[dict[str, Any]] = field(default_factory=list)
    skipped: str | None = None

    def add(self, message: str, files: Iterable[str] = ()) -> None:
        """Add a problem."""
        self.problems += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append({"message": message, "files": list(files)})


@dataclass
class Patient:
    """A corpus under examination: what could be read of it, and what was found.

    Attributes:
        path: the folder.
        info: what ``corpus.json`` says.
        checks: by the names of ``CHECKS``.
        notes: what is no problem, but worth knowing.
        splits: ``splits.parquet``, or None if it cannot be read.
        ledger: ``ledger.parquet``, or None if it cannot be read.
    """

    path: Path
    info: dict[str, Any]
    checks: dict[str, Check]
    notes: list[str] = field(default_factory=list)
    splits: pa.Table | None = None
    ledger: pa.Table | None = None


def check_corpus(
    path: Path | str,
    *,
    by: Sequence[str] = (),
    files: Path | str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Examine a corpus.

    Args:
        path: the folder.
        by: labels of which no value may be in two splits, besides those that the corpus was grouped by.
        files: the folder that the corpus was made of, to compare it with.
        progress: called with pieces examined and pieces in all.

    Returns:
        ``corpus``, ``problems``: how many; ``checks``: for each ``check`` its ``about``, ``problems``, ``listed`` and
        ``skipped``; ``notes``.

    Raises:
        CorpusError: it is no corpus at all, there is no such label, or no folder of that name.
    """
    from etude.data.doctor_files import check_files
    from etude.data.doctor_leaks import check_groups, check_labels, check_near
    from etude.data.doctor_pieces import check_ledger, check_pieces

    path = Path(path)
    info = read_info(path)
    _check_label_names(path, info, by)
    patient = Patient(path, info, {name: Check() for name in CHECKS})
    patient.splits = _table(patient, "splits.parquet", SPLITS_SCHEMA.names)
    patient.ledger = _table(patient, "ledger.parquet", ["path", "verdict", "id", "sha256", "duplicate_of"])
    check_pieces(patient, progress or (lambda done, total: None))
    check_ledger(patient)
    check_groups(patient)
    check_labels(patient, by)
    check_near(patient)
    check_files(patient, files)
    return {
        "corpus": str(path.resolve()),
        "problems": sum(check.problems for check in patient.checks.values()),
        "checks": [
            {"check": name, "about": CHECKS[name]}
            | {key: getattr(check, key) for key in ("problems", "listed", "skipped")}
            for name, check in patient.checks.items()
        ],
        "notes": patient.notes,
    }


def _check_label_names(path: Path, info: dict[str, Any], by: Sequence[str]) -> None:
    for name in by:
        if name not in info.get("labels", ()):
            raise CorpusError(f"{path}: by {name}: no such label; {nearest(name, info.get('labels', ()))}")


def _table(patient: Patient, name: str, columns: Sequence[str]) -> pa.Table | None:
    """Read a table whole; report it where that fails."""
    try:
        return pq.read_table(patient.path / name, columns=list(columns), page_checksum_verification=True)
    except FileNotFoundError:
        patient.checks["tables"].add(f"{name} is missing", [name])
    except (OSError, pa.ArrowException, KeyError) as error:
        patient.checks["tables"].add(f"{name} is damaged: {' '.join(str(error).split())}", [name])
    return None
