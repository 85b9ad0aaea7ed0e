"""Lines of MidiDict to a corpus, with what their metadata say as labels."""

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

from etude.data.inputs import Input, find_inputs, read_bytes
from etude.data.label_sources import OWN_TABLE
from etude.data.labels import PATH_COLUMNS
from etude.data.midi_dict import metadata_of_line
from etude.data.parse import MAX_PIECE_BYTES
from etude.data.prepare import prepare
from etude.errors import FormatError

_OWN = ("group", "split", "licence", "source")
# facts of the file that was written, not of the music
_SKIPPED = {"abs_load_path", "id", *PATH_COLUMNS}


def import_midi_dict(source: Path | str, out: Path | str, **options: Any) -> dict[str, Any]:
    """Make a corpus of a .jsonl file, or of a folder of them.

    Of the metadata of each line ``group``, ``split``, ``licence`` and ``source`` have their meanings, other texts and
    numbers become labels. A ``labels.csv`` in the folder, or ``labels`` among the options, is taken instead.

    Args:
        source: the file or folder.
        out: the folder to make.
        options: of ``etude.prepare``.

    Returns:
        What ``etude.prepare`` returns.

    Raises:
        EtudeError: as ``etude.prepare``; a line that cannot be read is rejected in the ledger instead.
    """
    source = Path(source)
    options = {"formats": ("midi_dict",)} | options
    if options.get("labels") is not None or (source / OWN_TABLE).is_file():
        return prepare(source, out, **options)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / OWN_TABLE
        if _write_table(find_inputs(source, ("midi_dict",)), table):
            options["labels"] = table
        return prepare(source, out, **options)


def _write_table(inputs: list[Input], table: Path) -> bool:
    """Write what metadata say as a table of labels; tell whether they say anything."""
    rows = [(one.name, _labels(one)) for one in inputs]
    names = dict.fromkeys([*_OWN, *(name for _, labels in rows for name in labels)])
    if not any(labels for _, labels in rows):
        return False
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", *names])
        writer.writerows([path, *(labels.get(name, "") for name in names)] for path, labels in rows)
    return True


def _labels(one: Input) -> dict[str, str]:
    try:
        metadata = _metadata(read_bytes(one, at_most=MAX_PIECE_BYTES))
    except FormatError:
        return {}
    plain = {name.strip(): value for name, value in metadata.items() if isinstance(value, (str, int, float))}
    return {name: " ".join(str(value).split()) for name, value in plain.items() if name and name not in _SKIPPED}


def _metadata(line: bytes) -> dict[str, Any]:
    """Return the metadata of a line; they stand last, so that most of it need not be read."""
    place = line.rfind(b'"metadata":')
    try:
        found = json.loads(b"{" + line[place:])["metadata"]
        if place >= 0 and isinstance(found, dict):
            return found
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return metadata_of_line(line)
