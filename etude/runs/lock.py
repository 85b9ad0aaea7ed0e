"""A lock that says who holds it and that nobody has to clean up.

The lock is a file of JSON: host, pid, start of the process, a random word. Its modification time is the
heartbeat, renewed by a thread. A lock is stale, and the next process takes it over, when its process is gone
(same host) or its heartbeat is older than two minutes (another host).
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Any

from etude.errors import RunError

BEAT_SEC = 15.0
STALE_SEC = 120.0
_ATTEMPTS = 10


class Lock:
    """Holds a lock file until ``release``, or the end of a ``with`` block.

    Args:
        path: where the lock file is.
        what: what it guards, for the message to those who come second.

    Raises:
        RunError: another live process holds it, or the file cannot be made.
    """

    def __init__(self, path: Path | str, *, what: str):
        self.path = Path(path)
        self._word = secrets.token_hex(8)
        self._stop = threading.Event()
        _take(self.path, self._word, what)
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat of {what}", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Give the lock back; a lock that another process took over meanwhile is left alone."""
        self._stop.set()
        self._thread.join()
        if _read(self.path).get("word") == self._word:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SEC):
            with contextlib.suppress(OSError):  # a folder that was removed, a disk that is away for a moment
                os.utime(self.path)


def holder(path: Path | str) -> dict[str, Any] | None:
    """Return who holds a lock now (``host``, ``pid``, ``since``), or None if nobody alive does."""
    path = Path(path)
    try:
        age_sec = time.time() - path.stat().st_mtime
    except OSError:
        return None
    found = _read(path)
    if not found:
        # made but not yet written by a process that is just starting, or left so by one that was killed
        return {"host": "unknown", "pid": 0, "since": ""} if age_sec < STALE_SEC else None
    alive = _is_alive(found) if found["host"] == socket.gethostname() else age_sec < STALE_SEC
    return {name: found[name] for name in ("host", "pid", "since")} if alive else None


def _take(path: Path, word: str, what: str) -> None:
    content = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_start": _process_start(os.getpid()),
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "word": word,
    }
    try:
        for _ in range(_ATTEMPTS):
            if _create(path, content) or _take_over(path, content, what):
                return
            time.sleep(0.01)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}; check the folder and the disk") from None
    raise RunError(f"{what}: other processes are starting it at this moment; try again")


def _create(path: Path, content: dict[str, Any]) -> bool:
    """Make a file if there is none; returns whether it did."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(handle, json.dumps(content).encode())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    return True


def _take_over(path: Path, content: dict[str, Any], what: str) -> bool:
    """Put a lock in the place of a stale one; returns whether it did.

    Of several processes that find the same stale lock, the one that makes the claim named after it may replace
    it; whoever makes that claim later sees that the lock is no longer the one it was.

    Raises:
        RunError: the lock is not stale.
    """
    stale = _read(path).get("word", "torn")
    who = holder(path)
    if who is not None:
        raise RunError(
            f"{what}: held by process {who['pid']} on {who['host']} since {who['since'] or 'a moment ago'}; "
            "wait for it or stop it"
        )
    claim = path.with_name(f"{path.name}.{stale}.claim")
    if not _create(claim, content):
        if holder(claim) is None:
            claim.unlink(missing_ok=True)
        return False
    try:
        if not path.exists() or _read(path).get("word", "torn") != stale:
            return False
        claim.replace(path)
        return True
    finally:
        claim.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and {"host", "pid", "since"} <= set(found) else {}


def _is_alive(found: dict[str, Any]) -> bool:
    try:
        os.kill(found["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it exists and belongs to somebody else
    start = _process_start(found["pid"])
    return start is None or found.get("process_start") in (None, start)


def _process_start(pid: int) -> str | None:
    """When a process started, in the kernel's clock ticks; tells it from a later one of the same number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
