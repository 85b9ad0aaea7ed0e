"""POP909: piano arrangements of 909 Chinese pop songs: melody, bridge, piano; beats, chords and keys beside them.

A folder is a song, with other versions of its arrangement in ``versions``; a group is a song. Name and artist are in
``index.xlsx``, whose one sheet is read with the standard library.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from etude.corpora.dataset import Dataset, Piece, Unpacked, commit_archive
from etude.errors import CorpusError

_FILE = re.compile(r"(?:^|/)([0-9]{3})(?:/versions/[0-9]{3}-(v[0-9]+)|/[0-9]{3})\.mid$")
_XML = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    table = unpacked.find("index.xlsx")
    songs = {row.get("song_id", "").zfill(3): row for row in _sheet(table)} if table else {}
    for path in unpacked.music:
        found = _FILE.search(path)
        if found is None:
            continue
        song, version = found.groups()
        row = songs.get(song, {})
        labels = {
            "song": song,
            "title": row.get("name", ""),
            "artist": row.get("artist", ""),
            "version": version or "main",
            "beats_in_a_bar": row.get("num_beats_per_measure", ""),
            "quavers_in_a_beat": row.get("num_quavers_per_beat", ""),
        }
        yield Piece(path, f"pop909:{song}", None, labels)


def _sheet(path: Path) -> list[dict[str, str]]:
    """Return the rows of the first sheet of a workbook, by the texts of its first row."""
    try:
        with zipfile.ZipFile(path) as book:
            sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    except (OSError, KeyError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise CorpusError(f"{path}: no workbook: {error}; fetch the dataset again") from error
    rows = []
    for row in sheet.iter(f"{_XML}row"):
        cells = {}
        for cell in row.iter(f"{_XML}c"):
            # this workbook keeps its texts in the cells, not in a table of strings
            cells[(cell.get("r") or "").rstrip("0123456789")] = "".join(cell.itertext())
        rows.append(cells)
    header, *rest = rows or [{}]
    return [{name: row.get(column, "") for column, name in header.items()} for row in rest]


POP909 = Dataset(
    name="pop909",
    title="POP909",
    homepage="https://github.com/music-x-lab/POP909-Dataset",
    licence="MIT",
    citation=(
        "Z. Wang, K. Chen, J. Jiang, Y. Zhang, M. Xu, S. Dai, G. Bin, G. Xia. POP909: A Pop-song Dataset for Music "
        "Arrangement Generation. ISMIR 2020."
    ),
    remotes=(
        commit_archive(
            "music-x-lab/POP909-Dataset",
            "d83e6edba6872a704f5d3b8b32f5cb540088dae6",
            tree="30cfe66425a8cc840cb6101d6a81829b6309f9d4",
            wanted=("[0-9][0-9][0-9]/*.mid", "versions/*.mid", "[0-9][0-9][0-9]/*.txt", "index.xlsx"),
        ),
    ),
    describe=_describe,
    remarks=(
        "The licence is that of the files; the songs are in copyright.",
        "Other versions of an arrangement have the label `version`, the main one says `main`.",
    ),
)
