"""MAESTRO 2.0.0 and 3.0.0: performances at the International Piano-e-Competition, with the published split.

The table is ``maestro-v3.0.0.csv``, or the JSON beside it, which 2.0.0 writes by rows and 3.0.0 by columns. A group
is a work: composer and title. In 2.0.0 five works are in two parts of the split.
"""

from collections.abc import Iterator
from pathlib import Path

from etude.corpora.dataset import Dataset, Piece, Remote, Unpacked
from etude.corpora.tables import by_tail, plain_name, read_json, read_rows, split_name, tail

_URL = "https://storage.googleapis.com/magentadata/datasets/maestro/{0}/maestro-{0}-midi.zip"


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    file_of = by_tail(unpacked.music, 2)
    table = unpacked.find(*(f"maestro-{version}.0.0.{end}" for version in ("v3", "v2") for end in ("csv", "json")))
    for row in _rows(table) if table else ():
        path = file_of.get(tail(row["midi_filename"], 2))
        if path is not None:
            composer, title = row["canonical_composer"], row["canonical_title"]
            yield Piece(
                path,
                f"maestro:{plain_name(composer)}/{plain_name(title)}",
                split_name(row["split"]),
                {"composer": composer, "title": title, "year": row["year"]},
            )


def _rows(table: Path) -> list[dict[str, str]]:
    if table.suffix == ".csv":
        return read_rows(table)
    found = read_json(table)
    if isinstance(found, dict):  # {column: {number of the row: value}}
        numbers = next(iter(found.values()), {})
        found = [{name: column[number] for name, column in found.items()} for number in numbers]
    return [{name: str(value) for name, value in row.items()} for row in found]


def _dataset(version: str, *, num_bytes: int, sha256: str) -> Dataset:
    return Dataset(
        name=f"maestro-{version[:2]}",
        title=f"MAESTRO {version}",
        homepage="https://magenta.tensorflow.org/datasets/maestro",
        licence="CC BY-NC-SA 4.0",
        citation=(
            "C. Hawthorne, A. Stasyuk, A. Roberts, I. Simon, C.-Z. A. Huang, S. Dieleman, E. Elsen, J. Engel, D. Eck. "
            "Enabling Factorized Piano Music Modeling and Generation with the MAESTRO Dataset. ICLR 2019."
        ),
        remotes=(
            Remote(
                name=f"maestro-{version}-midi.zip",
                urls=(_URL.format(version),),
                num_bytes=num_bytes,
                checksum=f"sha256:{sha256}",
                wanted=("*.midi", "*.mid", "maestro-*.csv", "maestro-*.json"),
                strip=1,
            ),
        ),
        describe=_describe,
    )


MAESTRO_V3 = _dataset(
    "v3.0.0", num_bytes=58_416_533, sha256="70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c"
)
MAESTRO_V2 = _dataset(
    "v2.0.0", num_bytes=59_243_107, sha256="ec2cc9d94886c6b376db1eaa2b8ad1ce62ff9f0a28b3744782b13163295dadf3"
)
