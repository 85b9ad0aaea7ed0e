"""What a tokenizer loses of a corpus: every piece, or some at equal distances, encoded, decoded and compared.

Memory holds one batch of music, fixed tallies of errors and a few numbers a piece.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from etude.data.corpus import Corpus
from etude.data.distribution import distribution
from etude.data.rows import scores_of_rows, spread_rows
from etude.data.tally import Tally
from etude.errors import TokenError
from etude.music.edit import trim
from etude.music.score import Score
from etude.tokens.loss_matching import Clock
from etude.tokens.loss_report import Losses, NoteCounts, report

SCHEMA = "etude-token-losses"
VERSION = 1
MOST_PIECES = 1000

_MOST_LISTED = 12
_SHOWN_SEC, _LEAD_SEC = 15.0, 0.1


def corpus_losses(
    corpus: Corpus, tokenizer: Any, *, most: int = MOST_PIECES, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Measure what a tokenizer loses of a corpus.

    Args:
        corpus: an open one.
        tokenizer: any.
        most: at most so many pieces are measured.
        progress: called with pieces measured and pieces to measure.

    Returns:
        A document that JSON can hold; ``docs/tokenizers.md`` lists its keys.

    Raises:
        CorpusError: a file is damaged.
    """
    rows = spread_rows(len(corpus), most)
    sums = _Sums()
    for done, (row, score) in enumerate(scores_of_rows(corpus, rows), 1):
        try:
            sums.add(row, report(tokenizer, score))
        except TokenError as error:
            sums.refused[row] = str(error)
        if progress:
            progress(done, len(rows))
    paths = corpus.splits["path"]
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "corpus": corpus.path.resolve().name,
        "digest": corpus.digest,
        "tokenizer": tokenizer.kind,
        "hash": tokenizer.hash,
        "vocab_size": tokenizer.vocab_size,
        "settings": tokenizer.to_json()["settings"],
        "loses": list(tokenizer.loses),
        "measured": {"pieces": len(rows), "of": len(corpus)},
        "refused": {
            "pieces": len(sums.refused),
            "examples": [
                {"path": paths[row].as_py(), "reason": reason}
                for row, reason in list(sums.refused.items())[:_MOST_LISTED]
            ],
        },
        **sums.totals(),
        "examples": [example | {"path": paths[example["row"]].as_py()} for example in sums.examples()],
        "worst": [worst | {"path": paths[worst["row"]].as_py()} for worst in sums.worst()],
    }


def examples(corpus: Corpus, tokenizer: Any, document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the examples of a document of ``corpus_losses``: ``path, why``, and ``before, after`` and ``notes``.

    The Scores are the first seconds from the first note on, as they are and as they come back; ``notes`` are the
    counts of the whole piece.
    """
    wanted = {example["row"]: example for example in document["examples"]}
    found = dict(scores_of_rows(corpus, np.array(sorted(wanted), np.int64)))
    for row, example in wanted.items():
        lost = report(tokenizer, found[row])
        before, after = _beginnings(lost.clock)
        yield example | {"before": before, "after": after, "notes": lost.notes._asdict()}


def _beginnings(clock: Clock) -> tuple[Score, Score]:
    first = clock.before.onset_sec[0] if len(clock.before.notes) else 0.0
    # what is gone at the beginning cannot be shown beside what is there
    start = max(0.0, float(first) - _LEAD_SEC, clock.silence_sec)
    end = start + _SHOWN_SEC
    after_start = max(0.0, clock.after_sec(start))
    return trim(clock.before, start, end), trim(clock.after, after_start, max(after_start, clock.after_sec(end)))


class _Sums:
    """Losses added up."""

    def __init__(self) -> None:
        self.refused: dict[int, str] = {}
        self._tallies = {
            "onset_ms": Tally(unit=0.1, limit=500),
            "onset_quarter": Tally(unit=0.001, limit=4),
            "duration_ms": Tally(unit=1, limit=10_000),
            "duration_quarter": Tally(unit=0.001, limit=16),
            "velocity": Tally(unit=1, limit=127),
        }
        self._notes = np.zeros(len(NoteCounts._fields), np.int64)
        self._tables: dict[str, np.ndarray] = {}
        self._words: Counter[tuple[str, str]] = Counter()
        self._ids, self._seconds = 0, 0.0
        self._pieces: list[tuple[int, float, float, float]] = []

    def add(self, row: int, lost: Losses) -> None:
        errors, ppq = lost.errors, lost.clock.before.ppq
        self._tallies["onset_ms"].add(errors.onset_sec * 1000)
        self._tallies["onset_quarter"].add(errors.onset_tick / ppq)
        self._tallies["duration_ms"].add(errors.duration_sec * 1000)
        self._tallies["duration_quarter"].add(errors.duration_tick / ppq)
        self._tallies["velocity"].add(errors.velocity)
        self._notes += lost.notes
        for name, kept in lost.tables.items():
            self._tables[name] = self._tables.get(name, 0) + np.array([*kept, kept.before > 0])
        self._words[("clock", lost.clock.kind)] += 1
        self._words[("ends", lost.ends)] += 1
        self._ids += lost.num_ids
        self._seconds += lost.clock.before.duration_sec
        lost_share = 1 - lost.notes.kept / max(1, lost.notes.before)
        self._pieces.append((row, lost_share, lost.errors.sizes()["onset_ms"].p95, lost.tempo_error))

    def totals(self) -> dict[str, Any]:
        notes = NoteCounts(*self._notes.tolist())
        names = ("before", "kept", "after", "pieces")
        return {
            "ids": self._ids,
            "ids_per_note": self._ids / max(1, notes.before),
            "ids_per_sec": self._ids / max(self._seconds, 1e-9),
            "clock": {word: count for (of, word), count in self._words.items() if of == "clock"},
            "ends": {word: count for (of, word), count in self._words.items() if of == "ends"},
            "notes": notes._asdict(),
            **{name: tally.distribution() for name, tally in self._tallies.items()},
            "tempo_error": distribution([piece[3] for piece in self._pieces]),
            "tables": {name: dict(zip(names, row.tolist(), strict=True)) for name, row in self._tables.items()},
        }

    def examples(self) -> list[dict[str, Any]]:
        """Return a typical piece, and those of which most is lost, or which are furthest off."""
        if not self._pieces:
            return []
        lost, off = (np.array([piece[k] for piece in self._pieces]) for k in (1, 2))
        found = {}
        if lost.max() > 0:
            found[int(lost.argmax())] = "the largest share of notes lost"
        if off.max() > 0:
            found.setdefault(int(off.argmax()), "the largest errors of onset")
        from_middle = np.abs(off - np.median(off)) / max(off.max(), 1e-9) + np.abs(lost - np.median(lost))
        from_middle[list(found)] = np.inf
        if np.isfinite(from_middle).any():
            found = {int(from_middle.argmin()): "a typical piece"} | found
        return [{"row": self._pieces[k][0], "why": why} for k, why in found.items()]

    def worst(self) -> list[dict[str, Any]]:
        """Return the pieces that lose the largest share of their notes, then those with the largest errors."""
        order = sorted(self._pieces, key=lambda piece: (-piece[1], -piece[2], piece[0]))[:_MOST_LISTED]
        return [
            {"row": row, "lost_share": share, "onset_ms_p95": onset, "tempo_error": tempo}
            for row, share, onset, tempo in order
        ]
