"""What has been read so far, kept on disk while a corpus is made, so that an interrupted run goes on.

A journal is one file of records, each appended as soon as it is there. It begins with a key that stands for
everything the records depend on. A record that a crash left half written, and whatever comes after it, is
cut off: each has a checksum.

    file      magic of 8 bytes, length of the key (uint32), key (UTF-8), records
    record    CRC-32 of all that follows, items, bytes of the result, bytes of the reason (four uint32,
              little-endian; 2^32 - 1 bytes: no result), result (compressed by who made it), reason (UTF-8)
"""

import contextlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from etude.errors import EtudeError

_MAGIC = b"etudeJ\x00\x02"
_HEAD = struct.Struct("<4I")
_LENGTH = struct.Struct("<I")
_NO_RESULT = 2**32 - 1


class Record(NamedTuple):
    """The outcome of neighbouring items."""

    num_items: int
    result: bytes | None
    """None if the items were given up."""
    reason: str
    """Why they were given up, else empty."""


class Journal:
    """An open journal: ``replay`` what is there, then ``append`` to it. A context manager that closes it."""

    def __init__(self, path: Path, file: BinaryIO, first: int) -> None:
        self.path = path
        self._file = file
        self._end = first
        self._is_at_end = False

    @classmethod
    def open(cls, folder: Path | str, key: str) -> "Journal":
        """Open the journal of a folder, which is made if it is not there.

        Args:
            folder: holds the journal and nothing else.
            key: stands for all that the results depend on; what was kept under another key is dropped.

        Raises:
            EtudeError: the folder cannot be written.
        """
        path = Path(folder) / "journal"
        header = _MAGIC + _LENGTH.pack(len(key.encode())) + key.encode()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
            file.seek(0)
            if file.read(len(header)) != header:
                file.truncate(0)
                file.write(header)
                file.flush()
        except OSError as error:
            raise _cannot_write(path, error) from error
        return cls(path, file, len(header))

    def replay(self) -> Iterator[Record]:
        """Yield the records that are whole, in the order they were appended; one at a time is in memory."""
        self._file.seek(self._end)
        while not self._is_at_end and (found := self._read()) is not None:
            # before it is given away: who got it has it
            self._end = self._file.tell()
            yield found
            self._file.seek(self._end)
        self._cut()

    def append(self, num_items: int, result: bytes | None, reason: str = "") -> None:
        """Add a record after all others, and hand it to the operating system.

        Args:
            num_items: how many items it tells of, in the order of the items.
            result: what came out, or None.
            reason: why nothing came out.

        Raises:
            EtudeError: the disk is full or the file cannot be written.
        """
        if not self._is_at_end:
            for _ in self.replay():
                pass
        text = reason.encode("utf-8", "backslashreplace")
        num_bytes = _NO_RESULT if result is None else len(result)
        body = _HEAD.pack(0, num_items, num_bytes, len(text))[4:] + (result or b"") + text
        try:
            self._file.write(_LENGTH.pack(zlib.crc32(body)) + body)
            self._file.flush()
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        self._end = self._file.tell()

    def close(self) -> None:
        """Close the file and keep it; what a full disk has no room for is left out."""
        with contextlib.suppress(OSError):
            self._file.close()

    def remove(self) -> None:
        """Close the file and remove it, and its folder if that is empty."""
        self.close()
        self.path.unlink(missing_ok=True)
        if not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> Record | None:
        """Read the next record; None if there is no whole one."""
        head = self._file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        checksum, num_items, num_bytes, text = _HEAD.unpack(head)
        there = 0 if num_bytes == _NO_RESULT else num_bytes
        # a damaged length must not make us ask for gigabytes
        if there + text > self.path.stat().st_size - self._file.tell():
            return None
        body = self._file.read(there + text)
        if zlib.crc32(body, zlib.crc32(head[4:])) != checksum:
            return None
        return Record(num_items, None if num_bytes == _NO_RESULT else body[:there], body[there:].decode())

    def _cut(self) -> None:
        if self._is_at_end:
            return
        try:
            self._file.truncate(self._end)
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        self._is_at_end = True


def _cannot_write(path: Path, error: OSError) -> EtudeError:
    return EtudeError(f"{path}: cannot be written: {error.strerror or error}; what was read so far is kept")
