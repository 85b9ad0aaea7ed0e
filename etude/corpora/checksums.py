"""Checksums of downloads: SHA-256 and MD5 of the bytes, and the ids that Git gives to files and to whole trees.

A checksum is written ``kind:hex``. The ids of Git are SHA-1 over a file's size and bytes (``git-blob``) or over the
names, modes and ids in a folder (``git-tree``): they pin what is in a repository's archive, whose own bytes may change.
"""

import hashlib
from pathlib import Path

from etude.errors import CorpusError

KINDS = {"sha256": 64, "md5": 32, "git-blob": 40, "git-tree": 40}
"""Kinds of checksums and their hex digits."""

_CHUNK_BYTES = 1 << 20


def checksum_of_file(path: Path, kind: str) -> str:
    """Return the checksum of a file as ``kind:hex``.

    Args:
        path: the file.
        kind: ``sha256``, ``md5`` or ``git-blob``.
    """
    digest = hashlib.sha1(usedforsecurity=False) if kind == "git-blob" else hashlib.new(kind, usedforsecurity=False)
    if kind == "git-blob":
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return f"{kind}:{digest.hexdigest()}"


def checked(path: Path, expected: str | None, *, what: str) -> str:
    """Compare a file with its checksum; those of trees are left to who unpacks it.

    Args:
        path: the file.
        expected: ``kind:hex``, or None.
        what: the file's name for the message.

    Returns:
        The SHA-256 of the bytes, 64 hex digits, to be recorded.

    Raises:
        CorpusError: they differ.
    """
    sha256 = checksum_of_file(path, "sha256")
    kind = expected.partition(":")[0] if expected else None
    if kind in (None, "git-tree"):
        return sha256.partition(":")[2]
    found = sha256 if kind == "sha256" else checksum_of_file(path, kind)
    if found != expected:
        raise CorpusError(f"{what}: its checksum is {found}, expected {expected}")
    return sha256.partition(":")[2]


class GitTree:
    """The id of a folder's content, from its files one by one in any order."""

    def __init__(self) -> None:
        """Begin with an empty folder."""
        self._root: dict[str, dict | tuple[int, bytes]] = {}

    def add(self, path: str, data: bytes, *, executable: bool = False, link: bool = False) -> None:
        """Add a file.

        Args:
            path: with forward slashes.
            data: its bytes; of a link, what it points at.
            executable: somebody may run it.
            link: it is a symbolic link.
        """
        *folders, name = path.split("/")
        here = self._root
        for folder in folders:
            here = here.setdefault(folder, {})
        mode = 0o120000 if link else 0o100755 if executable else 0o100644
        here[name] = (mode, _id_of("blob", data))

    def checksum(self) -> str:
        """Return ``git-tree:hex``."""
        return f"git-tree:{_tree_id(self._root).hex()}"


def _tree_id(entries: dict) -> bytes:
    rows = []
    for name, entry in entries.items():
        folder = isinstance(entry, dict)
        mode, own_id = (0o40000, _tree_id(entry)) if folder else entry
        encoded = name.encode("utf-8", "surrogateescape")
        # Git sorts folders as if their names ended in a slash
        rows.append((encoded + b"/" if folder else encoded, b"%o %s\0%s" % (mode, encoded, own_id)))
    return _id_of("tree", b"".join(row for _, row in sorted(rows)))


def _id_of(kind: str, data: bytes) -> bytes:
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).digest()
