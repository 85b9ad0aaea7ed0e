"""ASAP: performances of classical piano music with their scores, as MIDI, beats and keys annotated.

A group is a work: the movements of a sonata, and prelude and fugue of one BWV number, belong together. The
performer is read from the file's name: a surname, sometimes initials, the round of the competition, and ``M`` if the
file is in MAESTRO too.
"""

import re
from collections.abc import Iterator

from etude.corpora.dataset import Dataset, Piece, Unpacked, commit_archive
from etude.corpora.tables import read_rows, tail

_SCORE = "midi_score.mid"


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    table = unpacked.find("metadata.csv")
    rows = read_rows(table) if table else []
    titles = {row["folder"]: row["title"] for row in rows}
    for path in unpacked.music:
        folder, name = path.rsplit("/", 1) if "/" in path else ("", path)
        composer, *inside = _inside(folder, titles)
        if not inside:
            continue
        played = name != _SCORE
        labels = {
            "kind": "performance" if played else "score",
            "composer": composer,
            "title": titles.get("/".join((composer, *inside)), "_".join(inside)),
            "work": _work(composer, inside),
            "performer": _performer(name) if played else "",
            "in_maestro": ("yes" if name.rsplit(".", 1)[0].endswith("M") else "no") if played else "",
        }
        yield Piece(path, f"asap:{labels['work']}", None, labels)


def _inside(folder: str, titles: dict[str, str]) -> list[str]:
    """Return composer and folders below, wherever the files were unpacked."""
    parts = folder.split("/")
    composers = {known.split("/", 1)[0] for known in titles} or _COMPOSERS
    first = next((place for place, part in enumerate(parts) if part in composers), len(parts))
    return [tail(part, 1) for part in parts[first:]] or [""]


def _work(composer: str, inside: list[str]) -> str:
    if composer == "Bach" and inside[-1].startswith("bwv_"):
        return f"Bach/{inside[-1]}"
    last = re.sub(r"_(no_)?(first_)?(repeat|trio).*$", "", inside[-1])
    if "Sonata" in "/".join(inside[:-1]):
        # either a number, work-movement, or a folder for each movement, 1st to 4th
        last = re.sub(r"^([0-9]+)-[0-9]+.*$|^[1-4](st|nd|rd|th)$", r"\1", last)
    return "/".join(filter(None, (composer, *inside[:-1], last)))


def _performer(name: str) -> str:
    return re.sub(r"(_[0-9]{4})?_?[0-9]*M?(_[0-9]+)?\.midi?$", "", name, flags=re.IGNORECASE)


_COMPOSERS = {"Bach", "Balakirev", "Beethoven", "Brahms", "Chopin", "Debussy", "Glinka", "Haydn", "Liszt", "Mozart"}
_COMPOSERS |= {"Prokofiev", "Rachmaninoff", "Ravel", "Schubert", "Schumann", "Scriabin"}

ASAP = Dataset(
    name="asap",
    title="ASAP 1.3",
    homepage="https://github.com/fosfrancesco/asap-dataset",
    licence="CC BY-NC-SA 4.0",
    citation=(
        "F. Foscarin, A. McLeod, P. Rigaux, F. Jacquemard, M. Sakai. ASAP: a dataset of aligned scores and "
        "performances for piano transcription. ISMIR 2020, pp. 534-541."
    ),
    remotes=(
        commit_archive(
            "fosfrancesco/asap-dataset",
            "afc815c75c42e83a79c03feb6da8a35e77d4c6b8",
            tree="527f9f1bae3c755768dd5fa043c7961ecd264a22",
            num_bytes=49_000_000,
            wanted=("*.mid", "*_annotations.txt", "metadata.csv", "asap_annotations.json"),
        ),
    ),
    describe=_describe,
    remarks=(
        "Performers are surnames: `Huang` or `Lin` may be several people.",
        "Its MusicXML scores are left out: the MIDI scores hold the same notes.",
    ),
)
