"""The numbers of a corpus: what is in it, what it is like, what was left out, what belongs together.

Facts and labels are counted over all pieces. What takes the music is measured on at most ``MOST_PIECES`` pieces,
at equal distances, and ``measured`` says on how many. Memory holds the splits, a few hundred bytes a piece, and one
batch of music.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etude.data.corpus import LABEL_PREFIX, Corpus
from etude.data.distribution import distribution
from etude.data.ledger_stats import dropped, duplicates, groups, near_duplicates
from etude.data.licence_names import conditions_of
from etude.data.music_stats import MusicStats
from etude.data.rows import scores_of_rows, spread_rows
from etude.data.split import SPLITS
from etude.music.score import Score

SCHEMA = "etude-corpus-stats"
VERSION = 1
MOST_PIECES = 20_000
TYPICAL = 6

_FACTS = ("path", "licence", "source", "duration_sec", "num_notes")
_MOST_VALUES = 40
_MOST_KINDS = 100_000
"""Values of a label that are told apart; beyond these a column is a name, not a class."""


def corpus_stats(
    corpus: Corpus, *, most: int = MOST_PIECES, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Measure a corpus.

    Args:
        corpus: an open one.
        most: the music of at most so many pieces is measured.
        progress: called with pieces measured and pieces to measure.

    Returns:
        A document that JSON can hold; ``docs/corpus-commands.md`` lists its keys.

    Raises:
        CorpusError: a file is damaged.
    """
    facts = _Facts(corpus)
    rows = spread_rows(len(corpus), most)
    music = MusicStats()
    for done, (row, score) in enumerate(scores_of_rows(corpus, rows), 1):
        music.add(row, score)
        if progress:
            progress(done, len(rows))
    typical = music.typical_rows(TYPICAL)
    info = corpus.info
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "corpus": corpus.path.resolve().name,
        "digest": corpus.digest,
        "pieces": len(corpus),
        "notes": info["notes"],
        "hours": info["hours"],
        "files": info["files"],
        "splits": facts.splits(),
        "seconds": distribution(facts.seconds, log=True),
        "notes_per_piece": distribution(facts.notes, log=True),
        "licences": facts.licences(),
        "licence_digest": info.get("licence_digest"),
        "sources": facts.sources(),
        "labels": facts.labels(),
        "groups": groups(corpus),
        "duplicates": duplicates(corpus),
        "near_duplicates": near_duplicates(corpus),
        "dropped": dropped(corpus),
        "measured": {"pieces": len(music.rows), "of": len(corpus)},
        "music": music.document(),
        "typical": [{"row": row, "path": facts.path_of(row)} for row in typical],
        "settings": info.get("settings", {}),
    }


def typical_pieces(corpus: Corpus, stats: dict[str, Any]) -> list[tuple[str, Score]]:
    """Return path and Score of the pieces that a document of ``corpus_stats`` calls typical."""
    path_of = {piece["row"]: piece["path"] for piece in stats["typical"]}
    rows = np.array(sorted(path_of), np.int64)
    return [(path_of[row], score) for row, score in scores_of_rows(corpus, rows)]


class _Facts:
    """Everything that is counted over all pieces without their music."""

    def __init__(self, corpus: Corpus) -> None:
        self._splits = corpus.splits
        self._split = pc.index_in(self._splits["split"], value_set=pa.array(SPLITS)).to_numpy()
        names = [LABEL_PREFIX + name for name in corpus.info["labels"]]
        self._licences: Counter[str] = Counter()
        self._hours: Counter[str] = Counter()
        self._sources: Counter[str | None] = Counter()
        self._labels: dict[str, Counter[tuple[str, int]]] = {name: Counter() for name in names}
        self._overfull: set[str] = set()
        seconds, notes = [np.empty(0)], [np.empty(0, np.int64)]
        first = 0
        for batch in corpus.tables([*_FACTS, *names]):
            seconds.append(batch["duration_sec"].to_numpy())
            notes.append(batch["num_notes"].to_numpy())
            self._count(batch, self._split[first : first + len(batch)])
            first += len(batch)
        self.seconds, self.notes = np.concatenate(seconds), np.concatenate(notes)

    def _count(self, batch: pa.RecordBatch, split: np.ndarray) -> None:
        licences = pc.fill_null(batch["licence"], "unknown")
        for licence, seconds in zip(licences.to_pylist(), batch["duration_sec"].to_pylist(), strict=True):
            self._licences[licence] += 1
            self._hours[licence] += seconds / 3600
        self._sources.update(batch["source"].to_pylist())
        for name, counts in self._labels.items():
            if len(counts) > _MOST_KINDS:
                self._overfull.add(name)
                continue
            counts.update(
                (value, where) for value, where in zip(batch[name].to_pylist(), split.tolist(), strict=True) if value
            )

    def path_of(self, row: int) -> str:
        return self._splits["path"][row].as_py()

    def splits(self) -> dict[str, Any]:
        group = self._splits["group"]
        found = {}
        for number, name in enumerate(SPLITS):
            inside = self._split == number
            found[name] = {
                "pieces": int(inside.sum()),
                "notes": int(self.notes[inside].sum()),
                "hours": float(self.seconds[inside].sum() / 3600),
                "groups": len(pc.unique(group.filter(pa.array(inside)))),
            }
        return found

    def licences(self) -> dict[str, Any]:
        return {
            name: {"pieces": count, "hours": self._hours[name], "asks": list(conditions_of(name))}
            for name, count in self._licences.most_common()
        }

    def sources(self) -> dict[str, int]:
        found = {name or "unknown": count for name, count in self._sources.most_common(_MOST_VALUES)}
        rest = sum(self._sources.values()) - sum(found.values())
        return found | ({"others": rest} if rest else {})

    def labels(self) -> dict[str, Any]:
        return {name.removeprefix(LABEL_PREFIX): self._label(name) for name in self._labels}

    def _label(self, name: str) -> dict[str, Any]:
        counts = self._labels[name]
        total: Counter[str] = Counter()
        for (value, _), count in counts.items():
            total[value] += count
        top = [
            {"value": value, "pieces": count} | {split: counts[value, k] for k, split in enumerate(SPLITS)}
            for value, count in sorted(total.items(), key=lambda item: (-item[1], item[0]))[:_MOST_VALUES]
        ]
        return {"known": sum(total.values()), "values": len(total), "complete": name not in self._overfull, "top": top}
