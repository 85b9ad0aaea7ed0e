"""A corpus to files that other tools read: a folder of MIDI, or lines of MidiDict.

midi        a file a piece under its own path; ``labels.csv`` with group, split, licence, source and labels beside
            them, and ``SOURCE.md``, so that ``etude prepare`` makes the same pieces and splits of them
midi_dict   a line a piece, see ``etude.data.midi_dict``; its metadata hold the labels, id, group, split, licence
            and source; no path of this machine
"""

import csv
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from etude.data.corpus import Corpus, Piece
from etude.data.inputs import SUFFIXES
from etude.data.lock import writing
from etude.data.midi_dict import PATH, midi_dict_line
from etude.data.paired import check_new
from etude.errors import CorpusError, EtudeError
from etude.files import draft, draft_folder
from etude.music.midi import midi_bytes, read_midi

_HEAD = ("path", "group", "split", "licence", "source")
# as the tools that read these files call their splits
_ENDINGS = {"train": "_train", "valid": "_val", "test": "_test"}

Progress = Callable[[int, int], None]


def export_midi(
    corpus: Path | str, out: Path | str, *, split: str | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Write a folder of MIDI files with their labels.

    A piece whose path is no MIDI file's, such as a tune of an ABC file, gets ``.mid`` at its end.

    Args:
        corpus: a prepared corpus.
        out: the folder to make.
        split: only the pieces of this one.
        progress: called with pieces done and pieces in all.

    Returns:
        ``path``, ``pieces`` written, and ``changed``: paths of pieces whose notes a MIDI file cannot say exactly,
        such as two of one pitch of which one lies inside the other; their ids will be others.

    Raises:
        CorpusError: no such corpus or split, a path that leads out of the folder, two pieces of one name, or something
            at ``out``.
    """
    opened, out = Corpus.open(corpus), Path(out).resolve()
    check_new(out)
    names = opened.info["labels"]
    changed: list[str] = []
    said: dict[str, set[str | None]] = {"source": set(), "licence": set()}
    count = 0
    with writing(out), draft_folder(out) as folder, (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*_HEAD, *names])
        for piece, group, of_split in _pieces(opened, split, progress):
            path = _midi_path(piece.path)
            target = folder / path
            if target.exists():
                raise CorpusError(f"{opened.path}: two pieces would be written to {path}")
            target.parent.mkdir(parents=True, exist_ok=True)
            data = _of_piece(piece, midi_bytes)
            target.write_bytes(data)
            if read_midi(data).content_digest() != piece.id:
                changed.append(piece.path)
            row = (path, group, of_split, piece.licence, piece.source)
            table.writerow([value or "" for value in (*row, *(piece.labels.get(name) for name in names))])
            said["source"].add(piece.source)
            said["licence"].add(piece.licence)
            count += 1
        file.flush()
        (folder / "SOURCE.md").write_text(_source(opened, said), encoding="utf-8")
        check_new(out)
    return {"path": os.fspath(out), "pieces": count, "changed": changed}


def export_midi_dict(
    corpus: Path | str,
    out: Path | str,
    *,
    split: str | None = None,
    by_split: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write pieces as lines of MidiDict.

    Args:
        corpus: a prepared corpus.
        out: the file to make, such as ``pieces.jsonl``.
        split: only the pieces of this one.
        by_split: a file for each split, ``pieces_train.jsonl``, ``pieces_val.jsonl``, ``pieces_test.jsonl``.
        force: replace files that are there.
        progress: called with pieces done and pieces in all.

    Returns:
        ``files``: lines in each file, by its path.

    Raises:
        CorpusError: no such corpus or split, or a file is there.
    """
    opened, out = Corpus.open(corpus), Path(out).resolve()
    splits = [name for name in _ENDINGS if split in (None, name)] if by_split else [split]
    targets = [out.with_name(f"{out.stem}{_ENDINGS[name]}{out.suffix}") if by_split else out for name in splits]
    for target in targets:
        if target.exists() and (target.is_dir() or not force):
            raise CorpusError(f"{target}: is there already; replace it with --force, or choose another name")
    done, lines = 0, {}
    for name, target in zip(splits, targets, strict=True):
        count, before = 0, done
        shown = None if progress is None else lambda at, _, before=before: progress(before + at, len(opened))
        with draft(target) as path, path.open("w", encoding="utf-8", newline="\n") as file:
            for piece, group, of_split in _pieces(opened, name, shown):
                metadata = {PATH: piece.path, **piece.labels, "id": piece.id, "group": group, "split": of_split}
                metadata |= {key: value for key in ("licence", "source") if (value := getattr(piece, key))}
                line = _of_piece(piece, lambda score, metadata=metadata: midi_dict_line(score, metadata))
                file.write(line + "\n")
                count += 1
        lines[os.fspath(target)] = count
        done += count
    return {"files": lines}


def _pieces(corpus: Corpus, split: str | None, progress: Progress | None) -> Iterator[tuple[Piece, str, str]]:
    """Yield pieces with their group and split."""
    rows = zip(corpus.splits["group"].to_pylist(), corpus.splits["split"].to_pylist(), strict=True)
    placed = [row for row in rows if split in (None, row[1])]
    for done, (piece, (group, of_split)) in enumerate(zip(corpus.pieces(split), placed, strict=True), 1):
        yield piece, group, of_split
        if progress:
            progress(done, len(placed))


def _of_piece(piece: Piece, write: Callable) -> Any:
    try:
        return write(piece.score)
    except EtudeError as error:
        raise CorpusError(f"{piece.path}: cannot be written: {error}") from error


def _midi_path(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise CorpusError(f"path '{path}' leads out of the folder; is this corpus damaged?")
    return path if path.lower().endswith(SUFFIXES["midi"]) else f"{path}.mid"


def _source(corpus: Corpus, said: dict[str, set[str | None]]) -> str:
    """Return what SOURCE.md says: source and licence where all pieces have the same."""
    lines = [f"# {corpus.path.resolve().name}", "", f"{len(corpus)} pieces; `labels.csv` has a row for each.", ""]
    for name, values in said.items():
        value = next(iter(values)) if len(values) == 1 else None
        if value:
            lines.append(f"- {name.capitalize()}: {value}")
    return "\n".join(lines) + "\n"
