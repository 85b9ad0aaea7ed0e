"""MIDI → corpus: every file read in a worker process, judged in the order of paths, written once.

The result depends on the files, the labels and the seed, not on the number of workers or their timing.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from etude.data.build import Builder
from etude.data.labels import FileLabels, Labels, read_labels
from etude.data.lock import writing
from etude.data.midi_files import MidiFile, find_midi
from etude.data.parse import FACTS_SCHEMA, facts_of_score, unpack
from etude.data.split import check_fractions
from etude.data.workers import run_in_order
from etude.errors import CorpusError
from etude.files import draft_folder
from etude.music.table import SCORE_SCHEMA, scores_to_arrow

SAMPLER = "sampler"
"""The name that stands for the built-in corpus where a folder of MIDI is expected."""
FILE_LIMIT_SEC = 60.0
"""A file that takes longer to read is rejected."""

_READER = "etude.data.parse:parse_files"
_JOB_FILES, _JOB_BYTES = 64, 2 << 20
_NO_FACTS = dict.fromkeys(FACTS_SCHEMA.names)
_NO_SCORES = pa.table({field.name: pa.array([], field.type) for field in SCORE_SCHEMA}, schema=SCORE_SCHEMA)

Progress = Callable[[int, int], None]


class Read(NamedTuple):
    """Files that have been read, in order: their names, a fact row each, columns of those with notes."""

    names: Sequence[str]
    facts: Sequence[dict[str, Any]]
    scores: pa.Table


def prepare(
    midi_dir: Path | str,
    out: Path | str,
    *,
    labels: Path | str | None = None,
    licence: str | None = None,
    workers: int | None = None,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make a corpus of a folder of MIDI files.

    Args:
        midi_dir: the folder, or ``"sampler"`` for the built-in corpus (a folder of that name is
            ``"./sampler"``).
        out: the folder to make.
        labels: a table of labels, see ``etude.data.labels``.
        licence: licence of files for which the table names none.
        workers: processes that read; by default one for each core.
        seed: of the split.
        fractions: shares of train, valid and test.
        force: replace a corpus that is at ``out``.
        progress: called with files done and files in all.

    Returns:
        ``corpus, seen, accepted, duplicates, filtered, rejected, notes, hours, seconds`` as ``--json``
        prints them, and ``unmatched_labels``, the paths in the table that no file has.

    Raises:
        CorpusError: nothing to read, labels that do not fit, something else at ``out``, another writer.
        EtudeError: the disk is full or not writable; what was at ``out`` is still there.
    """
    began = time.monotonic()
    check_fractions(fractions)
    out = Path(out).resolve()
    _check_out(out, force)
    if os.fspath(midi_dir) == SAMPLER:
        if labels is not None:
            raise CorpusError(f"{labels}: the built-in corpus has its own labels; leave --labels out")
        source = _sampler()
    else:
        source = _folder(Path(midi_dir), labels, workers or _cores())
    with writing(out), draft_folder(out) as draft:
        builder = Builder(draft, labels=source.labels, licence=licence, source=source.name)
        try:
            done = 0
            for read in source.read():
                builder.add(*read)
                done += len(read.names)
                if progress:
                    progress(done, source.num_files)
            info = builder.finish(seed=seed, fractions=fractions)
        finally:
            builder.abandon()
        _check_out(out, force)
    counts = info["files"]
    return {
        "corpus": os.fspath(out),
        "seen": sum(counts.values()),
        "accepted": counts["accepted"],
        "duplicates": counts["duplicate"],
        "filtered": counts["filtered"],
        "rejected": counts["rejected"],
        "notes": info["notes"],
        "hours": round(info["hours"], 4),
        "seconds": round(time.monotonic() - began, 3),
        "unmatched_labels": source.labels.unmatched,
    }


class Source(NamedTuple):
    """What a corpus is made of."""

    name: str
    num_files: int
    labels: Labels
    read: Callable[[], Iterator[Read]]


def _folder(folder: Path, table: Path | str | None, workers: int) -> Source:
    files = find_midi(folder)
    labels = read_labels(table, [file.name for file in files]) if table is not None else Labels()
    return Source(folder.resolve().name, len(files), labels, lambda: _read_files(files, workers))


def _read_files(files: list[MidiFile], workers: int) -> Iterator[Read]:
    jobs = [[json.dumps(file.path) for file in group] for group in _groups(files)]
    for outcome in run_in_order(jobs, _READER, workers=workers, limit_sec=FILE_LIMIT_SEC):
        first = outcome.job.first
        names = [file.name for file in files[first : first + len(outcome.job.items)]]
        if outcome.result is None:
            yield Read(names, [_NO_FACTS | {"reason": outcome.reason}], _NO_SCORES)
        else:
            facts, scores = unpack(outcome.result)
            yield Read(names, facts.to_pylist(), scores)


def _groups(files: list[MidiFile]) -> Iterator[list[MidiFile]]:
    """Yield neighbouring files, few enough and small enough for one request."""
    group, num_bytes = [], 0
    for file in files:
        if group and (len(group) >= _JOB_FILES or num_bytes + file.num_bytes > _JOB_BYTES):
            yield group
            group, num_bytes = [], 0
        group.append(file)
        num_bytes += file.num_bytes
    yield group


def _sampler() -> Source:
    from etude.corpora.sampler import iter_pieces  # 300 scores; only when they are asked for

    pieces = sorted(iter_pieces(), key=lambda piece: piece.path)
    names = sorted({name for piece in pieces for name in piece.labels})
    of = {
        piece.path: FileLabels(
            labels={name: piece.labels.get(name) for name in names},
            group=piece.group,
            split=piece.split,
            licence=piece.licence,
            source=piece.source,
        )
        for piece in pieces
    }

    def read() -> Iterator[Read]:
        for first in range(0, len(pieces), _JOB_FILES):
            group = pieces[first : first + _JOB_FILES]
            facts = [_NO_FACTS | facts_of_score(piece.score) for piece in group]
            scores = scores_to_arrow([piece.score for piece in group])
            yield Read([piece.path for piece in group], facts, pa.Table.from_batches([scores]))

    return Source(SAMPLER, len(pieces), Labels(tuple(names), of), read)


def _check_out(out: Path, force: bool) -> None:
    """Refuse to write over anything but an empty folder or, when forced, a corpus."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "corpus.json").is_file():
        raise CorpusError(f"{out}: exists and is not a corpus; choose another folder")
    if not force:
        raise CorpusError(f"{out}: a corpus is here already; replace it with --force, or choose another folder")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
