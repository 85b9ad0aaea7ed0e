"""Split a corpus anew: other groups, another seed, other shares. The pieces stay, and so do token shards."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from etude.data.corpus import LABEL_PREFIX, Corpus
from etude.data.division import KnownPieces, divide, write_division
from etude.data.grouping import check_keys
from etude.data.labels import FileLabels
from etude.data.lock import writing
from etude.data.near import NEAR
from etude.data.prepare_settings import PrepareSettings
from etude.errors import CorpusError
from etude.fingerprints import Pairs
from etude.settings import nearest

SPLITTING = ("seed", "fractions", "group_by", "given_splits")
"""The settings of ``prepare`` that a new split may change."""


def resplit(path: Path | str, **settings: Any) -> dict[str, Any]:
    """Split a corpus anew; what is not said stays as it was.

    Args:
        path: the corpus.
        settings: values of ``PrepareSettings``, of those in ``SPLITTING``.

    Returns:
        ``corpus, digest, groups, largest_group, splits, near_pairs, leaks``; ``largest_group`` in pieces.

    Raises:
        CorpusError: not a corpus, an unknown label, or labels that contradict the splits that labels give.

    The files are replaced one by one, ``corpus.json`` last: `etude corpus check` finds one that was cut short.
    """
    path = Path(path).resolve()
    unknown = [name for name in settings if name not in SPLITTING]
    if unknown:
        raise CorpusError(f"{unknown[0]}: a new split cannot change it; {nearest(unknown[0], SPLITTING)}")
    with writing(path):
        corpus = Corpus.open(path)
        chosen = PrepareSettings.parse({**corpus.info["settings"], **settings})
        known = known_pieces(corpus, chosen)
        divided = divide(known, near_of(corpus, known), chosen)
        info = write_division(path, divided, corpus.info | {"settings": chosen.plain()})
    made = {"corpus": str(path)} | {name: info[name] for name in ("digest", "groups", "splits", "near_pairs", "leaks")}
    return made | {"largest_group": max(Counter(divided.splits["group"].to_pylist()).values(), default=0)}


def known_pieces(corpus: Corpus, settings: PrepareSettings) -> KnownPieces:
    """Read what grouping needs to know of the pieces of a corpus.

    Raises:
        CorpusError: a label to group by is not there, or the corpus was made before groups were kept.
    """
    check_keys(settings.group_by, corpus.info["labels"], where=f"{corpus.path}: ")
    known = KnownPieces(settings.group_by)
    labels = [LABEL_PREFIX + name for name in settings.group_by]
    for batch in corpus.tables(["id", "path", "given_group", "given_split", *labels]):
        for row in batch.to_pylist():
            said = {name: row[LABEL_PREFIX + name] for name in settings.group_by}
            known.add(row["id"], row["path"], FileLabels(said, row["given_group"], row["given_split"]))
    copies = corpus.ledger.filter(pa.compute.equal(corpus.ledger["verdict"], "duplicate"))
    pairs = zip(copies["id"].to_pylist(), copies["given_group"].to_pylist(), strict=True)
    known.copies = [(piece, group) for piece, group in pairs if group is not None]
    return known


def near_of(corpus: Corpus, known: KnownPieces) -> Pairs | None:
    """Return the near-duplicate pairs that a corpus holds, as rows; None if they were never looked for."""
    file = corpus.path / NEAR
    if not file.is_file():
        return None
    table = pq.read_table(file)
    row_of = {piece: row for row, piece in enumerate(known.ids)}
    a, b = (np.array([row_of[piece] for piece in table[name].to_pylist()], np.int32) for name in ("id_a", "id_b"))
    return Pairs(a, b, table["similarity"].to_numpy(), table["semitones"].to_numpy())
