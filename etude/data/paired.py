"""Paired text: a line of source tokens and a line of target tokens a piece, as MuseCoco is fine-tuned with.

    <split>_input.txt    sources, tokens separated by spaces
    <split>.txt          targets; lines with one number belong together
    dict.txt             a line a token, "token count"; the token on line n, from 1, has id 3 + n

Ids 0 to 3 are ``<s>``, ``<pad>``, ``</s>`` and ``<unk>``. A dictionary must have as many lines as the model was trained
with: new tokens replace lines that are not used.

Imported, the pairs are a folder of open files, from which the same text is written back byte for byte:

    pairs-<split>.parquet   source_ids, target_ids; source_text, target_text where a line has other spaces than one
                            between tokens, null elsewhere
    dict.txt                as it was
    pairs.json              schema, version, digest of the dictionary, rows in each split, how files end
"""

import json
import os
from collections.abc import Iterator
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from etude.data.lock import writing
from etude.data.parquet import abandon
from etude.errors import CorpusError, FormatError
from etude.files import draft_folder, write_json

SCHEMA, VERSION = "etude-pairs", 1
DICT_LINES = 1249
"""Lines of the dictionary of the attribute-to-music models: 1253 ids."""
FIRST_ID = 4
"""The id of the token on the first line of a dictionary."""

PAIRS_SCHEMA = pa.schema(
    [
        pa.field("source_ids", pa.list_(pa.int32()), nullable=False),
        pa.field("target_ids", pa.list_(pa.int32()), nullable=False),
        pa.field("source_text", pa.string()),
        pa.field("target_text", pa.string()),
    ]
)
_INPUT = "_input.txt"
_ROWS_AT_A_TIME = 512


class Line(NamedTuple):
    """A line of tokens: their ids, and its text where other spaces than one stand between them."""

    ids: list[int]
    text: str | None


def read_dictionary(file: Path | str, *, lines: int = DICT_LINES) -> dict[str, int]:
    """Return the id of each token.

    Args:
        file: ``dict.txt``.
        lines: how many it must have.

    Raises:
        FormatError: another number of lines, a line that is not a token and a count, a token twice; with the line.
    """
    file = Path(file)
    ids: dict[str, int] = {}
    number = 0
    for number, text in _lines(file):
        token, space, count = text.rstrip("\r\n").rpartition(" ")
        if not space or not token or " " in token or not count.isdecimal():
            raise FormatError(f"{file}, line {number}: '{text.strip():.40}', expected a token, a space and a count")
        if token in ids:
            first = ids[token] - FIRST_ID + 1
            raise FormatError(f"{file}, line {number}: token '{token}' is on line {first} too; keep one")
        ids[token] = FIRST_ID + number - 1
    if number != lines:
        raise FormatError(
            f"{file}: {number} lines, expected {lines}; a model knows the lines that it was trained with, so replace "
            "unused ones instead of adding or removing any"
        )
    return ids


def import_pairs(
    folder: Path | str, out: Path | str, *, dictionary: Path | str | None = None, dict_lines: int = DICT_LINES
) -> dict[str, Any]:
    """Read all pairs of files of a folder and write them as Parquet.

    Args:
        folder: that holds ``<split>_input.txt`` and ``<split>.txt`` of one split or more.
        out: the folder to make.
        dictionary: by default ``dict.txt`` in the folder.
        dict_lines: lines that it must have.

    Returns:
        ``path``, ``splits`` (rows in each) and ``tokens`` (ids in all).

    Raises:
        FormatError: no pairs; unequal numbers of lines, a token that is not in the dictionary, an empty target,
            text that is not UTF-8: with file and line.
        CorpusError: something is at ``out``.
    """
    folder, out = Path(folder), Path(out).resolve()
    check_new(out)
    inputs = sorted(folder.glob(f"*{_INPUT}")) if folder.is_dir() else []
    if not inputs:
        raise FormatError(f"{folder}: no file named <split>{_INPUT}; expected pairs of <split>{_INPUT} and <split>.txt")
    dictionary = Path(dictionary) if dictionary is not None else folder / "dict.txt"
    ids = read_dictionary(dictionary, lines=dict_lines)
    with writing(out), draft_folder(out) as draft:
        info: dict[str, Any] = {"schema": SCHEMA, "version": VERSION, "dict_lines": dict_lines}
        info |= {"dictionary": sha256(dictionary.read_bytes()).hexdigest(), "splits": {}, "unended": []}
        num_tokens = 0
        for source in inputs:
            split = source.name.removesuffix(_INPUT)
            target = folder / f"{split}.txt"
            rows, tokens = _import_split(source, target, draft / f"pairs-{split}.parquet", ids)
            info["splits"][split] = rows
            info["unended"] += [file.name for file in (source, target) if not _ends_with_newline(file)]
            num_tokens += tokens
        (draft / "dict.txt").write_bytes(dictionary.read_bytes())
        write_json(draft / "pairs.json", info)
        check_new(out)
    return {"path": os.fspath(out), "splits": info["splits"], "tokens": num_tokens}


def export_pairs(pairs: Path | str, out: Path | str) -> dict[str, Any]:
    """Write the text files that pairs were read from, byte for byte.

    Raises:
        CorpusError: ``pairs`` is no folder of pairs or is damaged, or something is at ``out``.
    """
    pairs, out = Path(pairs), Path(out).resolve()
    info = read_info(pairs)
    check_new(out)
    ids = read_dictionary(pairs / "dict.txt", lines=info["dict_lines"])
    tokens = {number: token for token, number in ids.items()}
    with writing(out), draft_folder(out) as draft:
        for split in info["splits"]:
            names = (f"{split}{_INPUT}", f"{split}.txt")
            with (draft / names[0]).open("wb") as source, (draft / names[1]).open("wb") as target:
                for pair in iter_pairs(pairs, split):
                    for file, line in zip((source, target), pair, strict=True):
                        text = line.text if line.text is not None else " ".join(tokens[one] for one in line.ids)
                        file.write(text.encode() + b"\n")
                for file, name in zip((source, target), names, strict=True):
                    if name in info["unended"]:
                        file.truncate(max(file.tell() - 1, 0))
        (draft / "dict.txt").write_bytes((pairs / "dict.txt").read_bytes())
        check_new(out)
    return {"path": os.fspath(out), "splits": info["splits"]}


def iter_pairs(pairs: Path | str, split: str) -> Iterator[tuple[Line, Line]]:
    """Yield source and target of each row of a split, in the order of the lines.

    Raises:
        CorpusError: the file is missing or damaged.
    """
    file = Path(pairs) / f"pairs-{split}.parquet"
    try:
        for batch in pq.ParquetFile(file).iter_batches(_ROWS_AT_A_TIME):
            for row in batch.to_pylist():
                yield Line(row["source_ids"], row["source_text"]), Line(row["target_ids"], row["target_text"])
    except (OSError, KeyError, pa.ArrowException) as error:
        raise CorpusError(f"{file}: damaged ({' '.join(str(error).split())}); import the pairs again") from error


def read_info(pairs: Path | str) -> dict[str, Any]:
    """Return ``pairs.json`` of a folder of pairs.

    Raises:
        CorpusError: it is missing, damaged or of another version.
    """
    file = Path(pairs) / "pairs.json"
    try:
        info = json.loads(file.read_bytes())
        found = (info["schema"], info["version"])
    except FileNotFoundError:
        raise CorpusError(f"{pairs}: no folder of pairs; make one with `etude corpus import paired`") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{file}: unreadable ({error}); import the pairs again") from error
    if found != (SCHEMA, VERSION):
        raise CorpusError(f"{file}: schema and version are {found}, expected {(SCHEMA, VERSION)}; import them again")
    return info


def check_new(out: Path) -> None:
    """Refuse a folder that is there already, unless it is empty."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise CorpusError(f"{out}: is there already; choose another folder")


def _import_split(source: Path, target: Path, out: Path, ids: dict[str, int]) -> tuple[int, int]:
    """Write the pairs of two files; return how many there are, and how many tokens they have."""
    if not target.is_file():
        raise FormatError(f"{target}: no such file; {source.name} needs it for its targets")
    writer = pq.ParquetWriter(out, PAIRS_SCHEMA, compression="zstd")
    rows: list[tuple[Line, Line]] = []
    count = num_tokens = 0
    try:
        for left, right in zip_longest(_lines(source), _lines(target)):
            if left is None or right is None:
                _refuse_unequal(source, target)
            pair = _line(source, *left, ids), _line(target, *right, ids)
            if not pair[1].ids:
                raise FormatError(f"{target}, line {right[0]}: empty; expected tokens")
            rows.append(pair)
            count += 1
            num_tokens += len(pair[0].ids) + len(pair[1].ids)
            if len(rows) == _ROWS_AT_A_TIME:
                writer.write_batch(_batch(rows))
                rows = []
        writer.write_batch(_batch(rows))
        writer.close()
    finally:
        abandon(writer)
    return count, num_tokens


def _refuse_unequal(source: Path, target: Path) -> None:
    counts = {file: sum(1 for _ in _lines(file)) for file in (source, target)}
    longer, shorter = (source, target) if counts[source] > counts[target] else (target, source)
    raise FormatError(
        f"{longer}, line {counts[shorter] + 1}: no line {counts[shorter] + 1} in {shorter.name}; it has "
        f"{counts[shorter]} lines and {longer.name} {counts[longer]}, expected as many"
    )


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line, its end included."""
    try:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, 1):
                try:
                    yield number, line.decode()
                except UnicodeDecodeError as error:
                    raise FormatError(f"{file}, line {number}: byte {error.start + 1} is not UTF-8") from None
    except OSError as error:
        raise FormatError(f"{file}: cannot be read: {error.strerror or error}") from error


def _line(file: Path, number: int, text: str, ids: dict[str, int]) -> Line:
    text = text.removesuffix("\n")
    tokens = text.split()
    found = [ids.get(token, -1) for token in tokens]
    if -1 in found:
        place = found.index(-1)
        raise FormatError(f"{file}, line {number}, token {place + 1}: '{tokens[place]:.40}' is not in dict.txt")
    return Line(found, None if text == " ".join(tokens) else text)


def _batch(rows: list[tuple[Line, Line]]) -> pa.RecordBatch:
    columns = [[pair[side][part] for pair in rows] for part in (0, 1) for side in (0, 1)]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, PAIRS_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=PAIRS_SCHEMA)


def _ends_with_newline(file: Path) -> bool:
    """Tell whether the last line has an end; an empty file has none that lacks it."""
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(size - 1, 0))
        return size == 0 or opened.read(1) == b"\n"
