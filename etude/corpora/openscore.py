"""OpenScore's Lieder and String Quartets: scores by people of many countries, as compressed MusicXML.

Folders are composer, set or work, and song. A group is a set of songs, else a song; of the quartets a work, which is
all movements.
"""

from collections.abc import Iterator

from etude.corpora.dataset import Dataset, Piece, Unpacked, commit_archive
from etude.corpora.tables import read_rows, tail

_SINGLE = "_"
"""The folder of songs that belong to no set."""


def _describe_lieder(unpacked: Unpacked) -> Iterator[Piece]:
    composers, sets, songs = (_names(unpacked, name) for name in ("composers.tsv", "sets.tsv", "scores.tsv"))
    for path in unpacked.music:
        parts = tail(path, 4).split("/")
        if len(parts) < 4:
            continue
        composer, cycle, song = parts[:3]
        single = cycle == _SINGLE
        labels = {
            "composer": composers.get(composer, composer.replace("_", " ")),
            "cycle": "" if single else sets.get(f"{composer}/{cycle}", cycle.replace("_", " ")),
            "title": songs.get(f"{composer}/{cycle}/{song}", song.replace("_", " ")),
        }
        yield Piece(path, f"lieder:{composer}/{song if single else cycle}", None, labels)


def _describe_quartets(unpacked: Unpacked) -> Iterator[Piece]:
    composers, works = (_names(unpacked, name) for name in ("composers.tsv", "scores.tsv"))
    for path in unpacked.music:
        parts = tail(path, 3).split("/")
        if len(parts) < 3:
            continue
        composer, work = parts[:2]
        labels = {
            "composer": composers.get(composer, composer.replace("_", " ")),
            "title": works.get(f"{composer}/{work}", work.replace("_", " ")),
        }
        yield Piece(path, f"string-quartets:{composer}/{work}", None, labels)


def _names(unpacked: Unpacked, name: str) -> dict[str, str]:
    table = unpacked.find(name)
    return {tail(row["path"], 9): row["name"] for row in read_rows(table, delimiter="\t")} if table else {}


_REMARK = "Scores, not performances: `etude prepare DIR OUT --formats musicxml` reads them."
_WANTED = ("*.mxl", "*.mid", "*.tsv")

LIEDER = Dataset(
    name="lieder",
    title="OpenScore Lieder Corpus",
    homepage="https://github.com/OpenScore/Lieder",
    licence="CC0 1.0",
    citation=(
        "M. Gotham, P. Jonas. The OpenScore Lieder Corpus. Music Encoding Conference Proceedings 2021, pp. 131-136, "
        "2022."
    ),
    remotes=(
        commit_archive(
            "OpenScore/Lieder",
            "bca122458de6da362abe62dd6aec62e25d7759b1",
            tree="2abf2ff0db57cfb95a55bbd9d9559897de143f7f",
            num_bytes=192_100_000,
            wanted=_WANTED,
        ),
    ),
    describe=_describe_lieder,
    formats=("musicxml", "midi"),
    remarks=(_REMARK,),
)
STRING_QUARTETS = Dataset(
    name="string-quartets",
    title="OpenScore String Quartets",
    homepage="https://github.com/OpenScore/StringQuartets",
    licence="CC0 1.0",
    citation=("M. Gotham, M. Redbond, B. Bower, P. Jonas. The OpenScore String Quartet Corpus. DLfM 2023, pp. 49-57."),
    remotes=(
        commit_archive(
            "OpenScore/StringQuartets",
            "2c723a5b7b4ea5420826116dfa912956c6a022c2",
            tree="cefdc02e362daa172ec68267c7eaaec4e530a23d",
            num_bytes=330_000_000,
            wanted=_WANTED,
        ),
    ),
    describe=_describe_quartets,
    formats=("musicxml", "midi"),
    remarks=(_REMARK,),
)
