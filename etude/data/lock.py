"""One writer at a time: a lock file beside the folder that is written.

The operating system drops the lock when its holder ends, however it ends, so there are no stale locks.
The file names the holder, for the message that the next writer gets.
"""

import contextlib
import fcntl
import glob
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from etude.errors import CorpusError


@contextlib.contextmanager
def writing(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the right to write ``path``; drafts that a killed writer left beside it are cleared away.

    Args:
        path: the folder that will be written; it need not exist, its parent is made.
        wait: wait for another writer to finish instead of refusing.

    Raises:
        CorpusError: another process is writing there, or the parent cannot be written.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _take(lock, wait)
    except OSError as error:
        raise CorpusError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        _clear_drafts(path)
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


def check_place(out: Path, force: bool) -> None:
    """Refuse to write over anything but an empty folder or, when forced, a corpus.

    Raises:
        CorpusError: something else is at ``out``.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "corpus.json").is_file():
        raise CorpusError(f"{out}: exists and is not a corpus; choose another folder")
    if not force:
        raise CorpusError(f"{out}: a corpus is here already; replace it with --force, or choose another folder")


def _take(lock: Path, wait: bool) -> int:
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the holder before may have removed the file that was opened here
            if lock.exists() and os.fstat(handle).st_ino == lock.stat().st_ino:
                os.truncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return handle
        except BlockingIOError:
            holder = os.read(handle, 200).decode(errors="replace") or "another process"
            os.close(handle)
            path = lock.with_name(lock.name[1:-5])
            raise CorpusError(f"{path}: is being written by {holder}; wait, or choose another folder") from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _clear_drafts(path: Path) -> None:
    """Undo what a writer that was killed left: put a replaced folder back, remove drafts."""
    prefix = "." + glob.escape(path.name)
    for old in path.parent.glob(f"{prefix}.*.old"):
        if not path.exists() and (old / "was").exists():
            (old / "was").replace(path)
        shutil.rmtree(old, ignore_errors=True)
    for rest in path.parent.glob(f"{prefix}.*.draft"):
        shutil.rmtree(rest, ignore_errors=True)
