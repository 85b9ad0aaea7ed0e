"""Labels from a table of comma-, semicolon- or tab-separated values, one row a file.

A column ``path`` (or ``file``, ``filename``, ``midi_filename``) joins rows to files: relative to the
folder of MIDI, either slash. These columns have a meaning of their own, all others become ``label_*``
columns of text, an empty cell being no label:

    group              what must stay in one split
    split              train, valid (or val, validation, dev) or test; it holds for the whole group
    licence, license   of this file
    source             where this file is from
"""

import csv
import io
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from etude.data.split import SPLITS
from etude.errors import CorpusError
from etude.settings import nearest

PATH_COLUMNS = ("path", "file", "filename", "midi_filename")
_MEANING = {name: name for name in ("group", "split", "licence", "source")} | {"license": "licence"}
_SPLIT_NAMES = {name: name for name in SPLITS} | dict.fromkeys(("val", "validation", "dev"), "valid")
_DELIMITERS = ",;\t|"


@dataclass
class FileLabels:
    """What a table says about one file; None where it says nothing."""

    labels: dict[str, str | None] = field(default_factory=dict)
    group: str | None = None
    split: str | None = None
    licence: str | None = None
    source: str | None = None


NOTHING = FileLabels()


@dataclass
class Labels:
    """A table joined to files.

    Attributes:
        names: label columns in the order of the table, without their ``label_`` prefix.
        of: what it says, by path.
        unmatched: paths in the table that no file has.
    """

    names: tuple[str, ...] = ()
    of: dict[str, FileLabels] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)


def read_labels(table: Path | str, paths: Sequence[str]) -> Labels:
    """Read a table and join it to files.

    Args:
        table: the file, UTF-8 or UTF-16.
        paths: the files, relative to their folder, with forward slashes.

    Raises:
        CorpusError: the table cannot be read, has no path column, a wrong number of cells in a row, two
            rows for one file, an unknown split or one group in two splits, or matches no file at all.
    """
    table = Path(table)
    rows = _rows(table)
    header = _header(table, rows)
    path_column = next(name for name in PATH_COLUMNS if name in header)
    names = tuple(name for name in header if name != path_column and name.lower() not in _MEANING)
    labels = Labels(names)
    known = {_plain(path): path for path in paths}
    line_of: dict[str, int] = {}
    for line, cells in rows:
        if len(cells) != len(header):
            raise CorpusError(f"{table}, line {line}: {len(cells)} cells, expected {len(header)} as in the header")
        row = dict(zip(header, (cell.strip() or None for cell in cells), strict=True))
        key = _plain(row.pop(path_column) or "")
        if key in line_of:
            raise CorpusError(f"{table}, line {line}: '{key}' is on line {line_of[key]} too; keep one row a file")
        line_of[key] = line
        if key not in known:
            labels.unmatched.append(key)
            continue
        labels.of[known[key]] = _meaning(row, f"{table}, line {line}")
    if not labels.of:
        first = labels.unmatched[0] if labels.unmatched else "nothing"
        raise CorpusError(
            f"{table}: column '{path_column}' matches none of {len(paths)} files; it says '{first}', "
            f"a file is '{paths[0]}'"
        )
    _check_groups(table, labels, line_of)
    return labels


def _rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and cells, blank lines left out."""
    try:
        data = table.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise CorpusError(f"{table}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{table}: byte {error.start} is not UTF-8; save it as CSV in UTF-8") from error
    head = text.split("\n", 1)[0]
    # of the header alone: cells may hold any of these characters, names of columns do not
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise CorpusError(f"{table}, line {reader.line_num}: {error}") from error


def _header(table: Path, rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    header = [cell.strip() for cell in next(rows, (0, []))[1]]
    header = [name.lower() if name.lower() in (*PATH_COLUMNS, *_MEANING) else name for name in header]
    if not header:
        raise CorpusError(f"{table}: empty; expected a header with a column 'path'")
    if not set(PATH_COLUMNS) & set(header):
        raise CorpusError(f"{table}: no column 'path' or 'file' to join by; the columns are {', '.join(header)}")
    doubled = sorted({name for name in header if header.count(name) > 1 or not name})
    if doubled or {"licence", "license"} <= set(header):
        name = doubled[0] if doubled else "licence"
        raise CorpusError(f"{table}: column '{name}' stands twice or has no name; give each its own")
    return header


def _meaning(row: dict[str, str | None], where: str) -> FileLabels:
    meant = {_MEANING[name.lower()]: row.pop(name) for name in list(row) if name.lower() in _MEANING}
    if meant.get("split") is not None:
        name = _SPLIT_NAMES.get(meant["split"].lower())
        if name is None:
            raise CorpusError(f"{where}: split = '{meant['split']}': {nearest(meant['split'], SPLITS)}")
        meant["split"] = name
    return FileLabels(row, **meant)


def _check_groups(table: Path, labels: Labels, line_of: dict[str, int]) -> None:
    first: dict[str, tuple[str, str]] = {}
    for path, said in labels.of.items():
        if said.group is None or said.split is None:
            continue
        split, other = first.setdefault(said.group, (said.split, path))
        if split != said.split:
            here, there = line_of[_plain(path)], line_of[_plain(other)]
            raise CorpusError(
                f"{table}, line {here}: group '{said.group}' is in {said.split} here and in {split} on line "
                f"{there}; a group belongs to one split"
            )


def _plain(path: str) -> str:
    """Return one spelling of a path: forward slashes, no leading dot, composed letters."""
    parts = path.replace("\\", "/").split("/")
    return unicodedata.normalize("NFC", "/".join(part for part in parts if part not in ("", ".")))
