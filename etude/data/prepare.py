"""MIDI → corpus: every file read in a worker process, judged in the order of names, written once.

The result depends on the files, the labels and the settings, not on the engine, the number of workers or
their timing. What was read is kept beside ``out`` until the corpus is whole, so that an interrupted
``prepare`` goes on where it was.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from etude.data.build import Builder
from etude.data.engines import engine_named
from etude.data.grouping import check_keys
from etude.data.inputs import Input, find_inputs
from etude.data.journal import Journal, Record
from etude.data.label_sources import labels_of_files
from etude.data.labels import FileLabels, Labels
from etude.data.lock import check_place, writing
from etude.data.parse import READING_SCHEMA, PieceReader, columns_of, unpack
from etude.data.prepare_settings import PrepareSettings
from etude.errors import CorpusError
from etude.files import draft_folder
from etude.music.table import SCORE_SCHEMA
from etude.settings import canonical_json

SAMPLER = "sampler"
"""The name that stands for the built-in corpus where a folder of MIDI is expected."""

_READER = "etude.data.parse:PieceReader"
_READING = 1
"""Another number for readers that give other columns: what an older one has read is not continued."""
_JOB_FILES, _JOB_BYTES = 64, 2 << 20
_NO_SCORES = SCORE_SCHEMA.empty_table()

Progress = Callable[[int, int], None]


class Read(NamedTuple):
    """Pieces that have been read, in order: their names, a row of facts each, columns of those that are kept."""

    names: Sequence[str]
    facts: pa.Table
    scores: pa.Table
    before: bool = False
    """Whether an interrupted run had read them."""


class Source(NamedTuple):
    """What a corpus is made of; ``key`` names the pieces and how they are read."""

    name: str
    names: list[str]
    labels: Labels
    read: Callable[[Journal], Iterator[Read]]
    key: str


def prepare(
    midi_dir: Path | str,
    out: Path | str,
    *,
    labels: Path | str | None = None,
    licence: str | None = None,
    fixed_labels: Mapping[str, str] | None = None,
    workers: int | None = None,
    engine: str = "local",
    force: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Make a corpus of a folder of MIDI files.

    Args:
        midi_dir: the folder, or a file that holds many pieces, or ``"sampler"`` for the built-in corpus (a
            folder of that name is ``"./sampler"``).
        out: the folder to make.
        labels: a table of labels, see ``etude.data.labels``; by default ``labels.csv`` in the folder if there
            is one; ``"none"`` for no table.
        licence: of files for which nothing names one.
        fixed_labels: labels of all files for which the table has none.
        workers: processes that read; by default one for each core, of this machine or of the cluster.
        engine: where they run: ``local``, or ``ray`` for a cluster.
        force: replace a corpus that is at ``out``.
        progress: called with pieces read and pieces in all; variants are looked for when all are read.
        settings: values of ``PrepareSettings``, such as ``seed=1`` or ``filters={"min_notes": 100}``.

    Returns:
        ``corpus, seen, accepted, duplicates, filtered, rejected, notes, hours, seconds`` as ``--json`` prints
        them; ``near_pairs`` and ``leaks``, the pairs of variants, and those in two settled splits; ``continued``,
        pieces that an interrupted run had read; ``unmatched_labels``, paths in the table that no file has.

    Raises:
        SettingsError: settings that do not fit.
        CorpusError: nothing to read, labels that do not fit, something else at ``out``, another writer.
        EtudeError: the disk is full or not writable; what was at ``out`` is still there.
    """
    began = time.monotonic()
    chosen = PrepareSettings.parse(settings)
    out = Path(out).resolve()
    check_place(out, force)
    if os.fspath(midi_dir) == SAMPLER:
        if labels is not None:
            raise CorpusError(f"{labels}: the built-in corpus has its own labels; leave --labels out")
        source = _sampler(chosen)
    else:
        inputs = find_inputs(midi_dir, chosen.formats)
        known = labels_of_files(
            Path(midi_dir),
            [one.name for one in inputs],
            table=labels,
            licence=licence,
            fixed=fixed_labels or {},
            settings=chosen,
        )
        source = _files(Path(midi_dir), inputs, known, chosen, engine_named(engine), workers)
    check_keys(chosen.group_by, source.labels.names)
    with writing(out), _reading(out, source.key) as journal, draft_folder(out) as draft:
        info, continued = _build(draft, source, journal, chosen, progress)
        check_place(out, force)
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
        **{name: info[name] for name in ("rules", "groups", "near_pairs", "leaks")},
        "continued": continued,
        "unmatched_labels": source.labels.unmatched,
    }


def _build(
    folder: Path, source: Source, journal: Journal, settings: PrepareSettings, progress: Progress | None
) -> tuple[dict[str, Any], int]:
    """Read and write everything; return what ``corpus.json`` says, and how much had been read before."""
    builder = Builder(folder, labels=source.labels, settings=settings, source=source.name)
    try:
        done = continued = 0
        for read in source.read(journal):
            builder.add(read.names, read.facts, read.scores)
            done += len(read.names)
            continued += len(read.names) * read.before
            if progress:
                progress(done, len(source.names))
        return builder.finish(), continued
    finally:
        builder.abandon()


@contextlib.contextmanager
def _reading(out: Path, key: str) -> Iterator[Journal]:
    """Yield the journal of what is read for ``out``; it is kept unless the corpus becomes whole."""
    journal = Journal.open(out.with_name(f".{out.name}.reading"), key)
    try:
        yield journal
    except BaseException:
        journal.close()
        raise
    journal.remove()


def _files(
    folder: Path, inputs: list[Input], labels: Labels, settings: PrepareSettings, run: Callable, workers: int | None
) -> Source:
    options = settings.plain()
    options = {name: options[name] for name in ("filters", "remove_families", "extend_by_pedal", "near_duplicates")}
    limits = {"limit_sec": settings.file_limit_sec, "memory_mb": settings.file_memory_mb}
    here = {"source": os.fspath(folder.resolve())}
    names = [one.name for one in inputs]

    def read(journal: Journal) -> Iterator[Read]:
        done = 0
        for record in journal.replay():
            yield _columns(names[done : done + record.num_items], record, before=True)
            done += record.num_items
        jobs = [[json.dumps(one) for one in group] for group in _groups(inputs[done:])]
        for outcome in run(jobs, _READER, workers=workers, options=options | here, **limits):
            record = Record(len(outcome.job.items), outcome.result, outcome.reason)
            journal.append(*record)
            yield _columns(names[done : done + record.num_items], record)
            done += record.num_items

    return Source(folder.resolve().name, names, labels, read, _key_of(inputs, options | limits))


def _key_of(inputs: list[Input], options: dict[str, Any]) -> str:
    """Return what stands for the files as they are now, and for how they are read."""
    key = blake2b(canonical_json([_READING, options]).encode(), digest_size=16)
    for one in inputs:
        with contextlib.suppress(OSError):
            found = Path(one.path).stat()
            key.update(json.dumps([one, found.st_size, found.st_mtime_ns]).encode())
    return key.hexdigest()


def _columns(names: Sequence[str], record: Record, *, before: bool = False) -> Read:
    if record.result is not None:
        return Read(names, *unpack(record.result), before)
    # nothing came back from the process: one piece was given up
    return Read(names, pa.Table.from_pylist([{"reason": record.reason}], READING_SCHEMA), _NO_SCORES, before)


def _groups(inputs: list[Input]) -> Iterator[list[Input]]:
    """Yield neighbouring pieces, few enough and small enough for one request."""
    group, num_bytes = [], 0
    for one in inputs:
        if group and (len(group) >= _JOB_FILES or num_bytes + one.num_bytes > _JOB_BYTES):
            yield group
            group, num_bytes = [], 0
        group.append(one)
        num_bytes += one.num_bytes
    if group:
        yield group


def _sampler(settings: PrepareSettings) -> Source:
    from etude.corpora.sampler import iter_pieces  # 900 scores; only when they are asked for

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
    reader = PieceReader(
        filters=settings.filters.plain(),
        remove_families=settings.remove_families,
        extend_by_pedal=settings.extend_by_pedal,
        near_duplicates=settings.near_duplicates,
    )

    def read(_: Journal) -> Iterator[Read]:
        for first in range(0, len(pieces), _JOB_FILES):
            group = pieces[first : first + _JOB_FILES]
            facts, scores = columns_of([reader.judge(piece.score, None) for piece in group])
            yield Read([piece.path for piece in group], pa.table(facts), pa.table(scores))

    return Source(SAMPLER, [piece.path for piece in pieces], Labels(tuple(names), of), read, SAMPLER)
