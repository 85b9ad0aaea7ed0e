"""Find the MIDI files of a folder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from etude.errors import CorpusError

MIDI_SUFFIXES = (".mid", ".midi", ".kar")


@dataclass(frozen=True, order=True)
class MidiFile:
    r"""A file that is MIDI by its name.

    Attributes:
        name: the path below the folder, with forward slashes; bytes that are not UTF-8 as ``\xNN``.
        path: the path that opens it.
        num_bytes: its size, 0 if it cannot be told.
    """

    name: str
    path: str
    num_bytes: int


def find_midi(folder: Path) -> list[MidiFile]:
    """Return the files named .mid, .midi or .kar, in any case, at any depth, in the order of their names.

    Links are followed; a folder that several links lead to is read once.

    Raises:
        CorpusError: the folder or one below it cannot be read, or holds no such file.
    """
    if not folder.exists():
        raise CorpusError(f"{folder}: no such folder; expected a folder of MIDI files")
    if not folder.is_dir():
        raise CorpusError(f"{folder}: not a folder; expected a folder of MIDI files")
    files = sorted(_walk(folder, set()))
    if not files:
        what = "no file named .mid, .midi or .kar" if any(folder.iterdir()) else "empty"
        raise CorpusError(f"{folder}: {what}; expected a folder of MIDI files")
    return [MidiFile(name, path, num_bytes) for name, path, num_bytes in files]


def _walk(folder: Path, visited: set[tuple[int, int]]) -> Iterator[tuple[str, str, int]]:
    waiting = [(os.fspath(folder), "")]
    while waiting:
        path, prefix = waiting.pop()
        try:
            found = Path(path).stat()
            if (found.st_dev, found.st_ino) in visited:
                continue
            visited.add((found.st_dev, found.st_ino))
            with os.scandir(path) as entries:
                # sorted, so that it does not depend on the disk which of two links is followed
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise CorpusError(f"{path}: cannot be read: {error.strerror or error}") from error
        for entry in listed:
            if _is_folder(entry):
                waiting.append((entry.path, f"{prefix}{entry.name}/"))
            elif entry.name.lower().endswith(MIDI_SUFFIXES):
                yield _printable(prefix + entry.name), entry.path, _size(entry)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # a link to itself: listed as a file, which then cannot be read
        return False


def _size(entry: os.DirEntry) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
