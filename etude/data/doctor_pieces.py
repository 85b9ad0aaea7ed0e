"""Examines pieces one by one: do the facts about them hold, and do the totals add up?"""

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from etude.data.corpus import LABEL_PREFIX
from etude.data.digests import ContentDigest, digest_of_score, digest_of_splits
from etude.data.doctor import Patient
from etude.data.ledger import VERDICTS
from etude.data.licences import LicenceDigest
from etude.data.split import SPLITS
from etude.music.check import check_score
from etude.music.score import Score
from etude.music.table import SCORE_SCHEMA, scores_from_arrow

_FACTS = ("id", "path", "licence", "source", "duration_sec", "num_notes")
_AT_A_TIME = 64
_TOLERANCE_SEC = 1e-6


class _Totals:
    """What is summed up over the pieces."""

    def __init__(self) -> None:
        self.pieces = self.notes = 0
        self.seconds = 0.0
        self.licences: Counter[str] = Counter()
        self.licence_digest = LicenceDigest()
        self.content = ContentDigest()
        self.ids: list[np.ndarray] = [np.empty(0, np.uint64)]
        self.in_order = True


def check_pieces(patient: Patient, progress: Callable[[int, int], None]) -> None:
    """Examine every piece, and compare what they add up to with ``corpus.json``."""
    totals = _Totals()
    paths = None if patient.splits is None else patient.splits["path"]
    for batch in _batches(patient):
        if paths is not None and paths.slice(totals.pieces, len(batch)).to_pylist() != batch["path"].to_pylist():
            totals.in_order = False
        _add_batch(patient, totals, batch)
        progress(totals.pieces, patient.info["num_pieces"])
    _check_order(patient, totals)
    _check_duplicates(patient, np.concatenate(totals.ids))
    # what is missing has been said, and would only be said again
    if not patient.checks["tables"].problems:
        _check_totals(patient, totals)


def check_ledger(patient: Patient) -> None:
    """Examine whether each file has one row, and each piece the row of its file."""
    check, ledger, splits = patient.checks["ledger"], patient.ledger, patient.splits
    if ledger is None or splits is None:
        check.skipped = "a table is missing"
        return
    for row in _repeated(ledger["path"]):
        check.add(f"{row} has more than one row", [row])
    for verdict in set(ledger["verdict"].to_pylist()) - set(VERDICTS):
        check.add(f"verdict '{verdict}': expected one of {', '.join(VERDICTS)}")
    accepted = ledger.filter(pc.equal(ledger["verdict"], "accepted"))
    for path in _missing(splits["path"], accepted["path"]):
        check.add(f"{path} is a piece, and the ledger does not say that it was accepted", [path])
    for path in _missing(accepted["path"], splits["path"]):
        check.add(f"{path} was accepted, and is no piece", [path])
    copies = ledger.filter(pc.equal(ledger["verdict"], "duplicate"))
    for path in _missing(copies["duplicate_of"], splits["path"]):
        check.add(f"{path} has copies, and is no piece", [path])


def _batches(patient: Patient) -> Iterator[pa.RecordBatch]:
    files = sorted(patient.path.glob("pieces-*.parquet"))
    check = patient.checks["tables"]
    wanted = [*_FACTS, *(LABEL_PREFIX + name for name in patient.info.get("labels", ())), *SCORE_SCHEMA.names]
    if len(files) != patient.info["piece_files"]:
        check.add(f"{len(files)} of {patient.info['piece_files']} pieces-*.parquet are there")
    for file in files:
        try:
            with pq.ParquetFile(file, page_checksum_verification=True) as opened:
                missing = [name for name in wanted if name not in opened.schema_arrow.names]
                if missing:
                    check.add(f"{file.name} is damaged: it has no column '{missing[0]}'", [file.name])
                else:
                    # all columns, for a damaged one may be any
                    yield from opened.iter_batches(_AT_A_TIME)
        except (OSError, pa.ArrowException, ValueError) as error:
            check.add(f"{file.name} is damaged: {' '.join(str(error).split())}", [file.name])


def _add_batch(patient: Patient, totals: _Totals, batch: pa.RecordBatch) -> None:
    rows = batch.select(_FACTS).to_pylist()
    names = patient.info.get("labels", ())
    labels = {name: batch[LABEL_PREFIX + name].to_pylist() for name in names}
    for k, row in enumerate(rows):
        totals.pieces += 1
        totals.notes += row["num_notes"]
        totals.seconds += row["duration_sec"]
        totals.licences[row["licence"] or "unknown"] += 1
        totals.licence_digest.add(row["id"], row["licence"], row["source"])
        score, problems = _examined(row, batch.slice(k, 1).select(SCORE_SCHEMA.names))
        for problem in problems:
            patient.checks["pieces"].add(f"{row['path']}: {problem}", [row["path"]])
        if score is not None:
            totals.content.add(digest_of_score(score), {name: column[k] for name, column in labels.items()})
    totals.ids.append(np.array([int(row["id"], 16) for row in rows], np.uint64))


def _examined(row: dict, columns: pa.RecordBatch) -> tuple[Score | None, list[str]]:
    """Return the Score of a row, if its columns are one, and what is wrong with the facts about it."""
    try:
        (score,) = scores_from_arrow(columns)
    except ValueError as error:
        return None, [f"its columns are no Score: {error}"]
    if found := check_score(score):
        return None, [f"its columns are no Score: {found[0].message}"]
    problems = []
    if row["num_notes"] != len(score.notes):
        problems.append(f"num_notes = {row['num_notes']}, and it has {len(score.notes)}")
    if not abs(row["duration_sec"] - score.duration_sec) <= _TOLERANCE_SEC:
        problems.append(
            f"duration_sec = {row['duration_sec']:.6f}, and its last note ends at {score.duration_sec:.6f} s"
        )
    if row["id"] != score.content_digest():
        problems.append(f"its notes are not those of its id {row['id']}")
    return score, problems


def _check_order(patient: Patient, totals: _Totals) -> None:
    if patient.splits is None:
        return
    count = len(patient.splits)
    if count != totals.pieces and not patient.checks["tables"].problems:
        patient.checks["totals"].add(f"splits.parquet has {count} rows for {totals.pieces} pieces", ["splits.parquet"])
    elif not totals.in_order:
        patient.checks["totals"].add("splits.parquet has other pieces, or another order, than pieces-*.parquet")
    for split in set(patient.splits["split"].to_pylist()) - set(SPLITS):
        patient.checks["totals"].add(f"split '{split}': expected one of {', '.join(SPLITS)}", ["splits.parquet"])


def _check_duplicates(patient: Patient, ids: np.ndarray) -> None:
    order = np.argsort(ids, kind="stable")
    again = np.flatnonzero(ids[order[1:]] == ids[order[:-1]])
    for place in again.tolist():
        rows = order[[place, place + 1]].tolist()
        names = [_path_of(patient, row) for row in rows]
        patient.checks["exact duplicates"].add(f"{names[0]} and {names[1]} have the same notes", names)


def _path_of(patient: Patient, row: int) -> str:
    if patient.splits is None or row >= len(patient.splits):
        return f"row {row}"
    return patient.splits["path"][row].as_py()


def _check_totals(patient: Patient, totals: _Totals) -> None:
    info, check = patient.info, patient.checks["totals"]
    verdicts = Counter(patient.ledger["verdict"].to_pylist())
    in_split = Counter(patient.splits["split"].to_pylist())
    found = {
        "num_pieces": totals.pieces,
        "notes": totals.notes,
        "licences": dict(totals.licences),
        "licence_digest": totals.licence_digest.hexdigest(),
        "files": {verdict: verdicts[verdict] for verdict in VERDICTS},
        "splits": {split: in_split[split] for split in SPLITS},
        "groups": len(pc.unique(patient.splits["group"])),
        "digest": digest_of_splits(info["content"], patient.splits),
    }
    if not patient.checks["pieces"].problems:
        found["content"] = totals.content.finish(info["labels"])
    for name, value in found.items():
        if name in info and info[name] != value:
            check.add(f"{name} is {value}, and corpus.json says {info[name]}", ["corpus.json"])
    if not abs(totals.seconds / 3600 - info["hours"]) <= 1e-6 * max(1.0, info["hours"]):
        check.add(f"hours are {totals.seconds / 3600:.6f}, and corpus.json says {info['hours']:.6f}", ["corpus.json"])


def _repeated(values: pa.ChunkedArray) -> list[str]:
    counts = pc.value_counts(values)
    return counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()


def _missing(values: pa.ChunkedArray, known: pa.ChunkedArray) -> list[str]:
    """Return the values that are not among the known ones, each once."""
    is_known = pc.is_in(values, value_set=known.combine_chunks())
    return pc.unique(values.filter(pc.invert(is_known))).to_pylist()
