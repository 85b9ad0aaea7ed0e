"""ATEPP: classical piano music by 49 pianists, transcribed from recordings, several performances of each movement.

A group is a work: composer and the folder of the composition, with all movements and all who play it.
"""

from collections.abc import Iterator

from etude.corpora.dataset import Dataset, Piece, Remote, Unpacked, commit_file
from etude.corpora.tables import plain_name, read_rows, tail

_TABLES = ("ATEPP-metadata-1.2.csv", "ATEPP-metadata-1.1.csv", "ATEPP-metadata-1.0.csv")
_PAGE = "https://github.com/tangjjbetsy/ATEPP/blob/master/disclaimer.md"


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    table = unpacked.find(*_TABLES)
    # each performance has a number of its own, its file's name
    rows = {tail(row["midi_path"], 1): row for row in read_rows(table)} if table else {}
    for path in unpacked.music:
        row = rows.get(tail(path, 1))
        if row is None:
            continue
        composer, work = row["midi_path"].split("/")[:2]
        yield Piece(
            path,
            f"atepp:{plain_name(composer.replace('_', ' '))}/{plain_name(work.replace('_', ' '))}",
            None,
            {
                "performer": row["artist"],
                "composer": row["composer"],
                "title": row["track"],
                "work": work.replace("_", " "),
                "composition": row["composition_id"],
                "quality": row.get("quality", ""),
            },
        )


ATEPP = Dataset(
    name="atepp",
    title="ATEPP 1.2",
    homepage="https://github.com/tangjjbetsy/ATEPP",
    licence="CC BY 4.0",
    citation=(
        "H. Zhang, J. Tang, S. R. M. Rafee, S. Dixon, G. Fazekas. ATEPP: A Dataset of Automatically Transcribed "
        "Expressive Piano Performance. ISMIR 2022."
    ),
    remotes=(
        Remote(name="ATEPP-1.2.zip", num_bytes=212_000_000, page=_PAGE),
        commit_file(
            "tangjjbetsy/ATEPP",
            "088fb434ec1687d934282be1737bfe2518ea55cd",
            "ATEPP-metadata-1.2.csv",
            blob="350cf1448f056d94a91e4712ce5e5a10725b65a1",
            unpack=False,
        ),
    ),
    describe=_describe,
    remarks=(
        "Transcribed by machine; its authors advise to leave out pieces whose label `quality` says `low quality`, "
        "`background noise` or `corrupted`.",
    ),
)
