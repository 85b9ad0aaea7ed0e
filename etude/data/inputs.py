r"""What a corpus is made of: files, and the parts of files that hold many pieces; how each format is read.

A format is chosen by the end of a name, in any case:

    midi       .mid .midi .kar                    a file is a piece
    musicxml   .musicxml .mxl, and .xml that says score-partwise
    abc        .abc      a tune is a piece, named by its number, ``jigs.abc#12``; the same number again: ``#12-2``
    midi_dict  .jsonl    a line is a piece, named by its number from 1, ``piano.jsonl#3``

A piece of the last two is a range of bytes, so that no process reads more of a file than it needs. What stands
before the first tune of an .abc file holds for all its tunes and is read with each of them.
"""

import mmap
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from etude.errors import CorpusError, FormatError, nearest
from etude.music.score import Score

SUFFIXES = {
    "midi": (".mid", ".midi", ".kar"),
    "musicxml": (".musicxml", ".mxl", ".xml"),
    "abc": (".abc",),
    "midi_dict": (".jsonl",),
}
"""Formats, and how the names of their files end."""

READERS = {
    "midi": "etude.music.midi:read_midi",
    "musicxml": "etude.music.musicxml:read_musicxml",
    "abc": "etude.music.abc_tunes:read_abc",
    "midi_dict": "etude.data.midi_dict:read_midi_dict",
}
"""Formats, and the function that makes a Score of the bytes of a piece, see ``reader_of``."""

_TITLES = {"midi": "MIDI", "musicxml": "MusicXML", "abc": "ABC", "midi_dict": "MidiDict"}
_SNIFFED_BYTES = 4096
_TUNE = re.compile(rb"(?:^|(?<=[\r\n]))X:[ \t]*(\d*)")


class Input(NamedTuple):
    r"""One piece to be read; ``json.dumps`` of it and ``Input(*json.loads(text))`` carry it between processes.

    Attributes:
        name: the path below the folder, with forward slashes, and ``#`` and a number for a part of a file; bytes
            that are not UTF-8 as ``\xNN``.
        path: the path that opens the file.
        num_bytes: how many bytes it takes; 0 if that cannot be told.
        format: a key of ``READERS``.
        start: where it begins in the file [bytes].
        head_bytes: how many bytes at the beginning of the file belong to it too.
    """

    name: str
    path: str
    num_bytes: int
    format: str = "midi"
    start: int = 0
    head_bytes: int = 0


def find_inputs(source: Path | str, formats: Sequence[str] = ("midi",)) -> list[Input]:
    """Return the pieces of a folder, at any depth, or of one file, in the order of their names.

    Links are followed; a folder that several links lead to is read once. Of a file that is named itself the
    format is told by its name, whatever ``formats`` says. A file of many pieces that holds none, or that cannot
    be read, is one Input: reading it says what is wrong.

    Args:
        source: a folder, or a file.
        formats: what to look for in a folder, keys of ``SUFFIXES``.

    Raises:
        CorpusError: an unknown format; the folder or one below it cannot be read, or holds no such file.
    """
    source = Path(source)
    unknown = [name for name in formats if name not in SUFFIXES]
    if unknown:
        raise CorpusError(f"formats: no format '{unknown[0]}'; {nearest(unknown[0], SUFFIXES)}")
    wanted = f"a folder of {' or '.join(_TITLES[name] for name in formats)} files"
    if not source.exists():
        raise CorpusError(f"{source}: no such folder; expected {wanted}")
    if source.is_dir():
        files = _walk(source, set(), formats)
    else:
        if _format_of(source.name, tuple(SUFFIXES)) is None:
            raise CorpusError(f"{source}: not a folder; expected {wanted}")
        files = iter([(_printable(source.name), os.fspath(source), source.stat().st_size, tuple(SUFFIXES))])
    found = sorted(part for file in files for part in _parts(*file))
    if not found and source.is_file():
        raise CorpusError(f"{source}: XML, but not MusicXML: it does not say score-partwise")
    if not found:
        suffixes = [suffix for name in formats for suffix in SUFFIXES[name]]
        listed = " or ".join(filter(None, [", ".join(suffixes[:-1]), suffixes[-1]]))
        what = f"no file named {listed}" if any(source.iterdir()) else "empty"
        raise CorpusError(f"{source}: {what}; expected {wanted}")
    return found


def read_bytes(one: Input, *, at_most: int) -> bytes:
    """Return the bytes of a piece, with the head of its file before them if it has one.

    Raises:
        FormatError: it is no regular file, cannot be read, has more than ``at_most`` bytes, or has become shorter
            since it was found; without its path.
    """
    try:
        found = os.stat(one.path)  # noqa: PTH116  pathlib takes a part of the time of a small file
        if not stat.S_ISREG(found.st_mode):
            raise FormatError("not a regular file")
        is_part = one.format in _SPLIT
        num_bytes = one.num_bytes if is_part else found.st_size
        if num_bytes + one.head_bytes > at_most:
            raise FormatError(f"{num_bytes + one.head_bytes} bytes; at most {at_most} are read")
        with open(one.path, "rb") as file:  # noqa: PTH123
            if not is_part:
                return file.read()
            head = file.read(one.head_bytes)
            file.seek(one.start)
            part = file.read(num_bytes)
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}") from error
    if len(part) < num_bytes:
        raise FormatError("the file has become shorter since it was found; prepare again")
    return head + part


def reader_of(format: str) -> Callable[[bytes], Score]:
    """Return the function that makes a Score of the bytes of one piece; it raises EtudeError for what is wrong."""
    module, _, name = READERS[format].partition(":")
    return getattr(import_module(module), name)


def _parts(name: str, path: str, num_bytes: int, formats: Sequence[str]) -> Iterator[Input]:
    """Yield the pieces of a file; none if it is not of these formats after all."""
    format = _format_of(name, formats)
    if path.lower().endswith(".xml") and not _is_score(path):
        return
    count = 0
    if format in _SPLIT:
        try:
            for label, start, length, head_bytes in _SPLIT[format](path):
                yield Input(f"{name}#{label}", path, length, format, start, head_bytes)
                count += 1
        except (OSError, ValueError):
            pass  # reading it as a whole says why
    if not count:
        yield Input(name, path, num_bytes, format)


def _tunes(path: str) -> Iterator[tuple[str, int, int, int]]:
    """Yield number, start, length and length of the head for each tune of an ABC file."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        places = [(match.start(), match[1].decode()) for match in _TUNE.finditer(text)]
        ends = [start for start, _ in places[1:]] + [len(text)]
    seen: Counter[str] = Counter()
    for place, ((start, number), end) in enumerate(zip(places, ends, strict=True), 1):
        label = number.lstrip("0") or str(place)
        seen[label] += 1
        yield label if seen[label] == 1 else f"{label}-{seen[label]}", start, end - start, places[0][0]


def _lines(path: str) -> Iterator[tuple[str, int, int, int]]:
    """Yield number, start, length and 0 for each line that is not blank."""
    start = 0
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.isspace():
                yield str(number), start, len(line), 0
            start += len(line)


_SPLIT: dict[str, Callable[[str], Iterator[tuple[str, int, int, int]]]] = {"abc": _tunes, "midi_dict": _lines}


def _walk(
    folder: Path, visited: set[tuple[int, int]], formats: Sequence[str]
) -> Iterator[tuple[str, str, int, Sequence[str]]]:
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
            elif _format_of(entry.name, formats) is not None:
                yield _printable(prefix + entry.name), entry.path, _size(entry), formats


def _format_of(name: str, formats: Sequence[str]) -> str | None:
    return next((format for format in formats if name.lower().endswith(SUFFIXES[format])), None)


def _is_score(path: str) -> bool:
    """Tell whether a file of XML says near its beginning that it is MusicXML; yes if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            # of UTF-16 as well
            return b"<score-partwise" in file.read(_SNIFFED_BYTES).replace(b"\0", b"")
    except OSError:
        return True


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
