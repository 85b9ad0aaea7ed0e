"""Tables that datasets publish: comma- or tab-separated values and JSON, and how their rows find their files."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from etude.errors import CorpusError

_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"} | dict.fromkeys(
    ("valid", "validation", "val", "dev"), "valid"
)


def read_rows(path: Path, *, delimiter: str = ",") -> list[dict[str, str]]:
    """Read a table with a header into a list of rows; cells that are missing are empty texts.

    Args:
        path: UTF-8, with or without a byte-order mark.
        delimiter: one character.

    Raises:
        CorpusError: it is no such table.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        # a tab-separated table of these sets has quotation marks in its texts and none around them
        quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, restval="")
        return [{name: value or "" for name, value in row.items() if name is not None} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path}: cannot be read as a table: {error}; fetch the dataset again") from error


def read_json(path: Path) -> Any:
    """Read a JSON document; ``NaN`` in it is understood.

    Raises:
        CorpusError: it is none.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: cannot be read as JSON: {error}; fetch the dataset again") from error


def by_tail(paths: Iterable[str], depth: int) -> dict[str, str]:
    """Return paths by their last parts, so that a table finds its files wherever they were unpacked.

    Args:
        paths: with forward slashes.
        depth: how many parts, at least 1.

    Example:
        >>> by_tail(["maestro-v3.0.0/2004/a.midi"], 2)
        {'2004/a.midi': 'maestro-v3.0.0/2004/a.midi'}
    """
    return {tail(path, depth): path for path in paths}


def tail(path: str, depth: int) -> str:
    """Return the last parts of a path in composed letters."""
    return unicodedata.normalize("NFC", "/".join(path.replace("\\", "/").split("/")[-depth:]))


def plain_name(text: str) -> str:
    """Return a title as a group's name: small letters and digits, no accents, no words between brackets.

    Example:
        >>> plain_name("Für Elise (live)"), plain_name("Etude, Op. 10 No. 3")
        ('fur elise', 'etude op 10 no 3')
    """
    bare = re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", text)
    letters = unicodedata.normalize("NFKD", bare if bare.strip() else text)
    kept = "".join(sign if sign.isalnum() else " " for sign in letters if not unicodedata.combining(sign))
    return " ".join(kept.casefold().split()) or text.strip()


def split_name(text: str) -> str | None:
    """Return ``train``, ``valid`` or ``test`` for a published name of a split, None for any other text."""
    return _SPLITS.get(text.strip().lower())
