"""What became of the files that were seen: what was left out and why, copies, variants, groups."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from etude.data.corpus import Corpus
from etude.errors import CorpusError

EXAMPLES = 5
MOST_LISTED = 40
_MOST_REASONS = 200
_MOST_PATHS = 8
_LEDGER_ROWS = 16_384
_NEAR = "near.parquet"


def dropped(corpus: Corpus) -> dict[str, Any]:
    """Return which files were left out, by rule and by reason, with examples.

    Returns:
        ``rules``: for each rule ``files`` that broke it, ``first`` files for which it was the first rule broken,
        ``low`` and ``high`` of what was measured, and ``examples`` with ``path`` and ``value``.
        ``reasons``: for each reason of a rejection, numbers in it left open, ``files`` and ``examples`` with ``path``
        and ``reason``. Both with the most files first.
    """
    rules: dict[str, dict[str, Any]] = {}
    reasons: dict[str, dict[str, Any]] = {}
    for batch in _ledger_batches(corpus):
        for row in batch.filter(pc.equal(batch["verdict"], "filtered")).to_pylist():
            _add_broken(rules, row)
        for row in batch.filter(pc.equal(batch["verdict"], "rejected")).to_pylist():
            _add_reason(reasons, row)
    return {"rules": _most_first(rules), "reasons": _most_first(reasons)}


def duplicates(corpus: Corpus) -> dict[str, Any]:
    """Return how many files are exact copies, and the first of them with the file that they copy."""
    count, pairs = 0, []
    for batch in _ledger_batches(corpus):
        found = batch.filter(pc.equal(batch["verdict"], "duplicate"))
        count += len(found)
        pairs += found.select(["path", "duplicate_of"]).slice(0, MOST_LISTED - len(pairs)).to_pylist()
    return {"files": count, "pairs": pairs}


def groups(corpus: Corpus) -> dict[str, Any]:
    """Return how many groups there are, how many pieces they have, and the largest."""
    sizes = corpus.splits.group_by("group").aggregate([("id", "count"), ("split", "min")])
    sizes = sizes.sort_by([("id_count", "descending"), ("group", "ascending")])
    count, pieces = np.unique(sizes["id_count"].to_numpy(), return_counts=True)
    largest = [
        {"group": row["group"], "pieces": row["id_count"], "split": row["split_min"]}
        for row in sizes.slice(0, MOST_LISTED).to_pylist()
        if row["id_count"] > 1
    ]
    sizes_of = dict(zip(map(str, count.tolist()), pieces.tolist(), strict=True))
    return {"count": len(sizes), "sizes": sizes_of, "largest": largest}


def near_duplicates(corpus: Corpus) -> dict[str, Any] | None:
    """Return pairs of variants by group, and those in different splits; None where nobody looked for them.

    Returns:
        ``pairs``, ``leaks``: counts; ``pieces``, ``num_groups``: those in any pair; ``groups``: the ones with the
        most pairs, with ``pieces``, ``pairs``, ``split``, ``lowest`` similarity and some ``paths``; ``leaking``: some
        of the leaks.
    """
    file = corpus.path / _NEAR
    if not file.is_file():
        return None
    table = _table_of(file)
    splits = corpus.splits.combine_chunks()
    rows = [
        pc.index_in(table[name].combine_chunks(), value_set=splits["path"].chunk(0)) for name in ("path_a", "path_b")
    ]
    sides = [splits["split"].take(found) for found in rows]
    table = table.append_column("split_a", sides[0]).append_column("split_b", sides[1])
    leaks = table.filter(pc.not_equal(*sides)).sort_by([("similarity", "descending")])
    in_pairs = np.unique(np.concatenate([found.to_numpy(zero_copy_only=False) for found in rows]))
    table = table.append_column("group", splits["group"].take(rows[0]))
    return {
        "pairs": len(table),
        "leaks": len(leaks),
        "pieces": len(in_pairs),
        "num_groups": len(pc.unique(table["group"])),
        "groups": _near_groups(table, splits.take(pa.array(in_pairs))),
        "leaking": leaks.drop_columns(["id_a", "id_b"]).slice(0, MOST_LISTED).to_pylist(),
    }


def _near_groups(pairs: pa.Table, pieces: pa.Table) -> list[dict[str, Any]]:
    """Return the groups that hold the most pairs."""
    found = pairs.group_by("group").aggregate([("similarity", "count"), ("similarity", "min")])
    found = found.sort_by([("similarity_count", "descending"), ("group", "ascending")]).slice(0, MOST_LISTED)
    listed = []
    for row in found.to_pylist():
        members = pieces.filter(pc.equal(pieces["group"], row["group"]))
        listed.append(
            {
                "group": row["group"],
                "pieces": len(members),
                "pairs": row["similarity_count"],
                "split": members["split"][0].as_py(),
                "lowest": row["similarity_min"],
                "paths": members["path"].slice(0, _MOST_PATHS).to_pylist(),
            }
        )
    return listed


def _add_broken(rules: dict[str, dict[str, Any]], row: dict[str, Any]) -> None:
    """Count a filtered file under every rule that it broke."""
    for entry in row.get("broken") or [f"{row['rule']}={row['reason'] if row['value'] is None else row['value']}"]:
        rule, _, measured = entry.rpartition("=")
        found = rules.setdefault(rule, {"files": 0, "first": 0, "low": None, "high": None, "examples": []})
        found["files"] += 1
        found["first"] += rule == row["rule"]
        try:
            value = float(measured)
        except ValueError:
            value = measured  # a licence is not measured
        else:
            found["low"] = value if found["low"] is None else min(found["low"], value)
            found["high"] = value if found["high"] is None else max(found["high"], value)
        if len(found["examples"]) < EXAMPLES:
            found["examples"].append({"path": row["path"], "value": value})


def _add_reason(reasons: dict[str, dict[str, Any]], row: dict[str, Any]) -> None:
    name = _without_numbers(row["reason"] or "no reason given")
    if name not in reasons and len(reasons) >= _MOST_REASONS:
        name = "other reasons"
    found = reasons.setdefault(name, {"files": 0, "examples": []})
    found["files"] += 1
    if len(found["examples"]) < EXAMPLES:
        found["examples"].append({"path": row["path"], "reason": row["reason"]})


def _without_numbers(reason: str) -> str:
    """Return one wording for reasons that differ in places and sizes.

    Example:
        >>> _without_numbers("byte 4711: 12 bytes are missing")
        'byte N: N bytes are missing'
    """
    return re.sub(r"0x[0-9a-fA-F]+|\d+(?:[.,]\d+)*", "N", reason)


def _most_first(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return dict(sorted(found.items(), key=lambda item: (-item[1]["files"], item[0])))


def _ledger_batches(corpus: Corpus) -> Iterator[pa.RecordBatch]:
    file = corpus.path / "ledger.parquet"
    try:
        with pq.ParquetFile(file) as opened:
            yield from opened.iter_batches(_LEDGER_ROWS)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(file, error) from error


def _table_of(file: Path) -> pa.Table:
    try:
        return pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> CorpusError:
    return CorpusError(f"{file}: damaged ({' '.join(str(error).split())}); prepare the corpus again")
