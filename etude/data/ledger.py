"""The ledger: a row for every file that was seen, and what became of it.

``verdict`` is one of

    accepted    the piece ``id`` is in the corpus
    duplicate   its notes are those of ``duplicate_of``, a path that comes earlier
    filtered    it broke ``rule``, with the measured ``value``; ``broken`` lists every rule that it broke. The rule
                ``licence`` has the licence as its ``reason``
    rejected    it could not be read; ``reason`` says why

``licence``, ``source`` and ``given_group`` are what was known of the file beforehand.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from etude.data.parquet import abandon, open_writer

VERDICTS = ("accepted", "duplicate", "filtered", "rejected")
LEDGER_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("sha256", pa.string()),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("rule", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("reason", pa.string()),
        pa.field("duplicate_of", pa.string()),
        pa.field("id", pa.string()),
        pa.field("broken", pa.list_(pa.string())),
        pa.field("licence", pa.string()),
        pa.field("source", pa.string()),
        pa.field("given_group", pa.string()),
    ]
)
_ROWS_AT_A_TIME = 16384


class Ledger:
    """Writes ``ledger.parquet`` row by row.

    Attributes:
        counts: files by verdict.
        rules: filtered files by the rules that they broke; one may break several.
    """

    def __init__(self, file: Path) -> None:
        self.counts = Counter(dict.fromkeys(VERDICTS, 0))
        self.rules: Counter[str] = Counter()
        self._writer = open_writer(file, LEDGER_SCHEMA)
        self._rows: list[dict[str, Any]] = []

    def add(self, path: str, verdict: str, *, sha256: str | None = None, **facts: Any) -> None:
        """Add the row of one file; ``facts`` are the columns that its verdict asks for."""
        self.counts[verdict] += 1
        self.rules.update(broken.split("=")[0] for broken in facts.get("broken") or ())
        self._rows.append({"path": path, "sha256": sha256, "verdict": verdict} | facts)
        if len(self._rows) >= _ROWS_AT_A_TIME:
            self._flush()

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Give up writing."""
        abandon(self._writer)

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, LEDGER_SCHEMA))
        self._rows.clear()
