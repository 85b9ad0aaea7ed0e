"""What stands beside the files of a fetched dataset: ``labels.csv``, which ``etude prepare`` reads, and ``SOURCE.md``.

Published splits are kept as they are. Some of them tear a piece apart: MAESTRO 2.0.0, for one, has five works with
performances in two splits. As a group belongs to one split, such a group becomes one for each split, and how many
there are is said.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.corpora.dataset import Dataset, Piece
from etude.corpora.tables import tail
from etude.errors import CorpusError
from etude.files import write_text

LABELS, SOURCE = "labels.csv", "SOURCE.md"
_SPLITS = ("train", "valid", "test")
_COLUMNS = ("path", "group", "split", "licence", "source")


@dataclass(frozen=True)
class Labelled:
    """What was written.

    Attributes:
        files: of music.
        groups: that hold more than one file.
        splits: files in each published split.
        torn: groups that a published split tears apart.
        labels: names of the columns of labels.
    """

    files: int
    groups: int
    splits: dict[str, int]
    torn: int
    labels: tuple[str, ...]


def write_labels(folder: Path, dataset: Dataset, pieces: Iterable[Piece]) -> Labelled:
    """Write ``labels.csv`` of a dataset's pieces.

    Args:
        folder: where the files are.
        dataset: whose they are.
        pieces: one a file.

    Raises:
        CorpusError: there are none.
    """
    pieces = list({tail(piece.path, piece.path.count("/") + 1): piece for piece in pieces}.values())
    if not pieces:
        raise CorpusError(f"{folder}: no files of music; is it {dataset.title}?")
    splits_of: dict[str, set[str | None]] = {}
    for piece in pieces:
        splits_of.setdefault(piece.group or "", set()).add(piece.split)
    torn = {group for group, splits in splits_of.items() if group and len(splits) > 1}
    names = list(dict.fromkeys(name for piece in pieces for name in piece.labels))
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*_COLUMNS, *names])
    groups: Counter[str] = Counter()
    for piece in pieces:
        group = f"{piece.group} [{piece.split or 'no split'}]" if piece.group in torn else piece.group or ""
        groups[group] += bool(group)
        facts = [piece.path, group, piece.split, piece.licence or dataset.licence, dataset.title]
        table.writerow([_one_line(fact) for fact in (*facts, *(piece.labels.get(name) for name in names))])
    write_text(folder / LABELS, text.getvalue())
    counts = Counter(piece.split for piece in pieces)
    return Labelled(
        files=len(pieces),
        groups=sum(count > 1 for count in groups.values()),
        splits={name: counts[name] for name in _SPLITS if counts[name]},
        torn=len(torn),
        labels=tuple(names),
    )


def write_source(
    folder: Path, dataset: Dataset, labelled: Labelled, *, files: list[dict[str, Any]], remarks: list[str]
) -> None:
    """Write ``SOURCE.md``: where the files are from, what one may do with them, how to cite them.

    Args:
        folder: where the files are.
        dataset: whose they are.
        labelled: what ``write_labels`` wrote.
        files: what was downloaded or copied, see ``etude.corpora.fetch``.
        remarks: sentences, the dataset's own first.
    """
    splits = ", ".join(f"{count:,} {name}" for name, count in labelled.splits.items())
    lines = [
        f"# {dataset.title}",
        "",
        f"- Set: {dataset.name}",
        f"- Licence: {dataset.licence or 'unknown'}",
        f"- Source: {dataset.homepage}",
        f"- Citation: {dataset.citation}",
        f"- Files: {labelled.files:,} of music; {labelled.groups:,} groups of more than one file",
        f"- Split: {splits}, as published" if labelled.splits else "- Split: none is published",
        "",
        *(f"{remark}\n" for remark in remarks),
        "## What came from where",
        "",
        *(f"- `{file['name']}`: {_said(file)}" for file in files),
        "",
        "`labels.csv` was made from the tables and names of the dataset; `etude prepare` reads it by itself.",
        "",
    ]
    write_text(folder / SOURCE, "\n".join(lines))


def _said(file: dict[str, Any]) -> str:
    if file["trust"] == "copy":
        return "from a copy at hand; there is no checksum for loose files"
    where = file["url"] or "from a copy at hand"
    how = f"as published: {file['checksum']}" if file["trust"] == "published" else "none is published"
    return f"{where}, {file['num_bytes']:,} bytes, sha256 {file['sha256']} (checksum {how})"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
