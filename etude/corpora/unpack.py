"""Archives, unpacked without trusting them: zip and tar, the latter with any of the usual compressions.

A member whose path is absolute or climbs out of the folder makes the whole archive be refused. Links and devices are
never made. Only members that are wanted are written, and what a small archive may unfold to is bounded. Of two
members of one name the later stays.
"""

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from etude.corpora.checksums import GitTree
from etude.corpora.dataset import Remote
from etude.errors import CorpusError

_TIMES_LARGER = 200
_AND_BYTES = 1 << 30
_SPARE_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # of zipfile: encrypted
    NotImplementedError,  # of zipfile: an unknown compression
    UnicodeDecodeError,
)


@dataclass(frozen=True)
class _Member:
    path: str
    num_bytes: int
    open: Callable[[], IO[bytes]] | None
    """None for what is no file: links and devices."""
    link: str | None = None
    executable: bool = False


def unpack(
    archive: Path, folder: Path, remote: Remote, *, progress: Callable[[int, int | None], None] | None = None
) -> int:
    """Unpack what is wanted of an archive into a folder.

    Args:
        archive: the file, a zip or a tar.
        folder: made if needed; files there are replaced.
        remote: what is wanted, how many folders are left out at the front, and the id of its tree if there is one.
        progress: called with the bytes written so far and those of all members, None if that is not known yet.

    Returns:
        Files written.

    Raises:
        CorpusError: it is no such archive, damaged, dangerous, holds nothing that is wanted, is not the tree that
            it should be, or there is no room for it.
    """
    tree = GitTree() if (remote.checksum or "").startswith("git-tree:") else None
    limit = archive.stat().st_size * _TIMES_LARGER + _AND_BYTES
    done = written = 0
    try:
        with closing(_open(archive)) as opened:
            total = _total(opened, remote, folder, archive)
            for member in _members(opened):
                path = _safe(member.path, remote.strip, archive)
                wanted = path is not None and member.open is not None and remote.wants(path)
                if tree is not None and path is not None:
                    _add(tree, path, member, archive)
                if not wanted:
                    continue
                done += _write(member, folder / path, limit - done, archive)
                written += 1
                if progress is not None:
                    progress(done, total)
    except _DAMAGED as error:
        raise CorpusError(f"{archive}: damaged, or no archive: {' '.join(str(error).split())}") from error
    if tree is not None and tree.checksum() != remote.checksum:
        raise CorpusError(f"{archive}: its files have the checksum {tree.checksum()}, expected {remote.checksum}")
    if not written:
        raise CorpusError(f"{archive}: holds none of {', '.join(remote.wanted)}; is it not {remote.name}?")
    return written


def is_archive(path: Path) -> bool:
    """Say whether a file is a zip or a tar."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def _open(archive: Path) -> zipfile.ZipFile | tarfile.TarFile:
    return zipfile.ZipFile(archive) if zipfile.is_zipfile(archive) else tarfile.open(archive, "r:*")


def _total(opened: zipfile.ZipFile | tarfile.TarFile, remote: Remote, folder: Path, archive: Path) -> int | None:
    """Return the bytes that will be written, if the archive says it at its end, and see that there is room."""
    if isinstance(opened, tarfile.TarFile):
        return None
    infos = (info for info in opened.infolist() if not info.is_dir())
    total = sum(info.file_size for info in infos if remote.wants("/".join(info.filename.split("/")[remote.strip :])))
    require_room(folder, total, what=archive.name)
    return total


def require_room(folder: Path, num_bytes: int, *, what: str) -> None:
    """Refuse to begin what will not fit on the disk.

    Args:
        folder: on that disk; it need not exist yet.
        num_bytes: how much will be written.
        what: the name for the message.

    Raises:
        CorpusError: there is less room.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < num_bytes + _SPARE_BYTES:
        raise CorpusError(
            f"{folder}: {what} needs {num_bytes / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free; make room, or name "
            "a folder on another disk"
        )


def _members(opened: zipfile.ZipFile | tarfile.TarFile) -> Iterator[_Member]:
    """Yield all members that are no folders."""
    if isinstance(opened, zipfile.ZipFile):
        for info in opened.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                continue
            link = opened.read(info).decode("utf-8", "surrogateescape") if stat.S_ISLNK(mode) else None
            read = None if link is not None else (lambda info=info: opened.open(info))
            yield _Member(info.filename, info.file_size, read, link, bool(mode & 0o111))
        return
    for info in opened:
        if not info.isdir():
            read = (lambda info=info: opened.extractfile(info)) if info.isreg() else None
            yield _Member(info.name, info.size, read, info.linkname if info.issym() else None, bool(info.mode & 0o111))
            # tarfile remembers every member; a million of them would fill the memory
            opened.members = []


def _safe(path: str, strip: int, archive: Path) -> str | None:
    """Return a member's path below the folder; None if nothing is left of it."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or "\\" in path or "\0" in path or ":" in path[1:2]:
        raise CorpusError(f"{archive}: dangerous: the member {path!r} would be written outside of the folder")
    return "/".join(parts[strip:]) or None


def _write(member: _Member, path: Path, limit: int, archive: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    with member.open() as source, path.open("wb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            done += len(chunk)
            if done > limit:
                raise CorpusError(f"{archive}: unfolds to more than {_TIMES_LARGER} times its size; it is no dataset")
            target.write(chunk)
    return done


def _add(tree: GitTree, path: str, member: _Member, archive: Path) -> None:
    if member.link is not None:
        tree.add(path, member.link.encode("utf-8", "surrogateescape"), link=True)
    elif member.open is not None:
        if member.num_bytes > _AND_BYTES:
            raise CorpusError(f"{archive}: the member {path!r} is larger than any file of this dataset")
        with member.open() as source:
            tree.add(path, source.read(_AND_BYTES), executable=member.executable)
