"""From pieces to groups to splits: ``splits.parquet``, ``near.parquet`` and what ``corpus.json`` says of them.

Used when a corpus is made and when it is split anew: the same pieces and settings give the same files.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from etude.data.corpus import SPLITS_SCHEMA
from etude.data.digests import digest_of_splits
from etude.data.grouping import group_pieces
from etude.data.labels import FileLabels
from etude.data.near import NEAR, NEAR_SCHEMA
from etude.data.prepare_settings import PrepareSettings
from etude.data.split import SPLITS, split_by_group
from etude.files import draft, write_json
from etude.fingerprints import Pairs


@dataclass
class KnownPieces:
    """What grouping needs to know of every piece, in the order of the corpus.

    Attributes:
        group_by: labels that keep pieces together.
        copies: id of a piece, and the group that labels give to an exact duplicate of it.
    """

    group_by: Sequence[str]
    ids: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    given_groups: list[str | None] = field(default_factory=list)
    given_splits: list[str | None] = field(default_factory=list)
    keys: dict[str, list[str | None]] = field(default_factory=dict)
    copies: list[tuple[str, str]] = field(default_factory=list)

    def add(self, piece_id: str, path: str, said: FileLabels) -> None:
        """Add the next piece."""
        self.ids.append(piece_id)
        self.paths.append(path)
        self.given_groups.append(said.group)
        self.given_splits.append(said.split)
        for name in self.group_by:
            self.keys.setdefault(name, []).append(said.labels.get(name))


@dataclass(frozen=True)
class Division:
    """Pieces with their groups and splits, and the pairs that are variants of each other."""

    splits: pa.Table
    near: pa.Table | None


def divide(known: KnownPieces, near: Pairs | None, settings: PrepareSettings) -> Division:
    """Group pieces and give every group a split.

    Raises:
        CorpusError: labels that keep pieces together contradict the splits that labels give.
    """
    kept = settings.given_splits == "keep"
    grouping = group_pieces(
        known.ids,
        given_groups=known.given_groups,
        given_splits=known.given_splits if kept else [None] * len(known.ids),
        keys=known.keys,
        copies=known.copies,
        pairs=None if near is None else near[:3],
    )
    split_of = split_by_group(
        grouping.groups, seed=settings.seed, fractions=settings.fractions, given=grouping.given
    )
    columns = (known.ids, known.paths, grouping.groups, [split_of[group] for group in grouping.groups])
    splits = pa.table([pa.array(column, pa.string()) for column in columns], schema=SPLITS_SCHEMA)
    return Division(splits, None if near is None else _table_of_pairs(known, near, grouping.joined))


def write_division(folder: Path, divided: Division, info: dict[str, Any]) -> dict[str, Any]:
    """Write the tables of a division and ``corpus.json``; return what that says.

    Args:
        folder: of the corpus.
        divided: groups and splits.
        info: the rest of ``corpus.json``.
    """
    names = divided.splits["split"].to_pylist()
    in_split = Counter(names)
    joined = divided.near["joined"].to_pylist() if divided.near is not None else []
    info = info | {
        "digest": digest_of_splits(info["content"], divided.splits),
        "groups": len(set(divided.splits["group"].to_pylist())),
        "splits": {name: in_split[name] for name in SPLITS},
        "near_pairs": len(joined),
        "leaks": joined.count(False),
    }
    for name, table in (("splits.parquet", divided.splits), (NEAR, divided.near)):
        if table is not None:
            with draft(folder / name) as file:
                pq.write_table(table, file, compression="zstd", write_page_checksum=True)
    # last: it seals the others by their digest
    write_json(folder / "corpus.json", info)
    return info


def _table_of_pairs(known: KnownPieces, near: Pairs, joined: Sequence[bool]) -> pa.Table:
    ids, paths = pa.array(known.ids, pa.string()), pa.array(known.paths, pa.string())
    columns = [ids.take(pa.array(near.a)), ids.take(pa.array(near.b))]
    columns += [paths.take(pa.array(near.a)), paths.take(pa.array(near.b))]
    return pa.table([*columns, near.similarity, near.semitones, pa.array(joined)], schema=NEAR_SCHEMA)
