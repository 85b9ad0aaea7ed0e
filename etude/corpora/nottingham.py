"""Nottingham Music Database as cleaned by Jukedeck: folk tunes, melody and chords, from ABC.

Title, metre and key are those of the tune's ABC. A group is a title: the same tune is in several books.
"""

import re
from collections.abc import Iterator

from etude.corpora.dataset import Dataset, Piece, Unpacked, commit_archive
from etude.corpora.tables import plain_name

_BOOKS = {
    "hpps": "hornpipe",
    "jigs": "jig",
    "morris": "morris",
    "playford": "playford",
    "reels": "reel",
    "slip": "slip jig",
    "waltzes": "waltz",
    "xmas": "christmas",
}
_FIELDS = {"T": "title", "M": "metre", "K": "key"}


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    books: dict[str, dict[int, dict[str, str]]] = {}
    for path in unpacked.files:
        if path.lower().endswith(".abc"):
            text = (unpacked.root / path).read_bytes().decode("utf-8", "replace")
            books[path.rsplit("/", 1)[-1].rsplit(".", 1)[0]] = _tunes(text)
    for path in unpacked.music:
        stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        book, number = re.fullmatch(r"(.*?)([0-9]*)", stem).groups()
        facts = books.get(book, {}).get(int(number or 0), {})
        kind = next((kind for begins, kind in _BOOKS.items() if book.startswith(begins)), "mixed")
        group = plain_name(facts["title"]) if facts.get("title") else stem
        yield Piece(path, f"nottingham:{group}", None, {"genre": kind, "book": book, **facts})


def _tunes(text: str) -> dict[int, dict[str, str]]:
    """Return the first title, metre and key of every tune, by its number."""
    tunes: dict[int, dict[str, str]] = {}
    here: dict[str, str] = {}
    for line in text.splitlines():
        field, colon, value = line.partition(":")
        if colon and field == "X" and value.strip().isdigit():
            here = tunes.setdefault(int(value), {})
        elif colon and field in _FIELDS:
            here.setdefault(_FIELDS[field], value.partition("%")[0].strip())
    return tunes


NOTTINGHAM = Dataset(
    name="nottingham",
    title="Nottingham Music Database (cleaned)",
    homepage="https://github.com/jukedeck/nottingham-dataset",
    licence="GPL 3.0",
    citation=(
        "E. Foxley. Nottingham Music Database, http://abc.sourceforge.net/NMD/; cleaned version: "
        "https://github.com/jukedeck/nottingham-dataset."
    ),
    remotes=(
        commit_archive(
            "jukedeck/nottingham-dataset",
            "0992bb6cd864f6d4b90d6663e08c0ef53ffaa08f",
            tree="0f9db8d9524e6eaf66329d4513347eaf66c22fd6",
            num_bytes=1_829_000,
            wanted=("MIDI/*.mid", "ABC_cleaned/*.abc"),
        ),
    ),
    describe=_describe,
    remarks=("The ABC files are the source: they go along when the MIDI files are passed on.",),
)
