"""Examines whether anything is on both sides of a split: groups, variants of a piece, values of labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from etude.data.corpus import LABEL_PREFIX
from etude.data.doctor import Patient
from etude.data.near import SKETCHES, find_near
from etude.data.split import SPLITS
from etude.errors import CorpusError

WHO_OR_WHAT = (
    "work", "piece", "song", "song_id", "tune", "title", "composition", "performer", "pianist", "drummer", "player",
    "artist", "album", "session", "recording",
)  # fmt: skip
"""Labels of which people often mean that no value should be in two splits."""

_MANY = 0.9


def check_groups(patient: Patient) -> None:
    """Examine whether a group is in two splits."""
    if patient.splits is None:
        patient.checks["groups"].skipped = "splits.parquet is missing"
        return
    for value, places in _torn(patient.splits, "group"):
        patient.checks["groups"].add(f"group '{value}' is in {_said(places)}", [path for _, path in places])


def check_labels(patient: Patient, by: Sequence[str]) -> None:
    """Examine whether a value of a label is in two splits.

    The labels are those asked for and those that the corpus was grouped by. Of others whose names say that
    they may matter it is noted.
    """
    check, splits = patient.checks["labels"], patient.splits
    grouped = patient.info.get("settings", {}).get("group_by") or ()
    asked = list(dict.fromkeys([*by, *grouped]))
    if splits is None or patient.checks["tables"].problems:
        check.skipped = "a table is missing or damaged"
        return
    if not asked:
        check.skipped = "no label was asked for; see --by"
    for name in asked:
        for value, places in _torn(_with_label(patient, name), name):
            files = [path for _, path in places]
            check.add(f"{name} = '{value}' is in {_said(places)}", files)
    for name in patient.info.get("labels", ()):
        if name not in asked and name.lower() in WHO_OR_WHAT:
            _note_label(patient, name)


def check_near(patient: Patient) -> None:
    """Search the fingerprints for variants of one piece, and examine whether they are in different splits."""
    check, splits = patient.checks["near duplicates"], patient.splits
    file = patient.path / SKETCHES
    if not file.is_file():
        wanted = patient.info.get("settings", {}).get("near_duplicates")
        if wanted:
            patient.checks["tables"].add(f"{SKETCHES} is missing", [SKETCHES])
        check.skipped = "the corpus was made without fingerprints"
        return
    if splits is None:
        check.skipped = "splits.parquet is missing"
        return
    try:
        ids = pq.read_table(file, columns=["id"], page_checksum_verification=True)["id"]
        if ids.to_pylist() != splits["id"].to_pylist():
            patient.checks["tables"].add(f"{SKETCHES} is not of these pieces", [SKETCHES])
            check.skipped = f"{SKETCHES} is not of these pieces"
            return
        pairs = find_near(file)
    except (CorpusError, OSError, pa.ArrowException, KeyError) as error:
        patient.checks["tables"].add(" ".join(str(error).split()), [SKETCHES])
        check.skipped = f"{SKETCHES} cannot be read"
        return
    split = splits["split"].to_numpy()
    torn = np.flatnonzero(split[pairs.a] != split[pairs.b])
    # the most alike first
    for k in torn[np.argsort(-pairs.similarity[torn], kind="stable")].tolist():
        rows = (int(pairs.a[k]), int(pairs.b[k]))
        first, second = (splits["path"][row].as_py() for row in rows)
        moved = f", {int(pairs.semitones[k]):+d} semitones" if pairs.semitones[k] else ""
        said = f"{first} in {split[rows[0]]} and {second} in {split[rows[1]]}"
        check.add(f"{said} are {pairs.similarity[k]:.0%} alike{moved}", [first, second])


def _torn(table: pa.Table, column: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the values that are in several splits, with each split and the first path in it."""
    table = table.filter(pc.is_valid(table[column]))
    firsts = table.group_by([column, "split"]).aggregate([("path", "min")])
    counts = pc.value_counts(firsts[column])
    torn = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    rows = firsts.filter(pc.is_in(firsts[column], value_set=torn)).sort_by(
        [(column, "ascending"), ("split", "descending")]
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows.to_pylist():
        found.setdefault(row[column], []).append((row["split"], row["path_min"]))
    for places in found.values():
        places.sort(key=lambda place: SPLITS.index(place[0]) if place[0] in SPLITS else len(SPLITS))
    return list(found.items())


def _said(places: Sequence[tuple[str, str]]) -> str:
    return " and in ".join(f"{split} ({path})" for split, path in places)


def _with_label(patient: Patient, name: str) -> pa.Table:
    """Return the splits with one label."""
    column = LABEL_PREFIX + name
    files = sorted(patient.path.glob("pieces-*.parquet"))
    values = pa.concat_tables([pq.read_table(file, columns=[column]) for file in files])[column]
    return patient.splits.append_column(name, values)


def _note_label(patient: Patient, name: str) -> None:
    table = _with_label(patient, name)
    known: Any = table[name].drop_null()
    count, torn = len(pc.unique(known)), len(_torn(table, name))
    # a value of its own for nearly every piece says nothing
    if torn and count < _MANY * len(known):
        patient.notes.append(
            f"label {name}: {torn:,} of {count:,} values are in more than one split; `--by {name}` names them, "
            f"`etude corpus split {patient.path} --by {name}` keeps them together"
        )
