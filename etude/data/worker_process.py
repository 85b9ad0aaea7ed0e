"""One worker process as its owner sees it: started, asked, and ended when it takes too long or too much.

The process leads a group of its own, so that whatever it starts ends with it.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from etude.data import memory
from etude.data.worker import HEAD, write_frame
from etude.errors import CorpusError

_START_LIMIT_SEC = 120.0
_WATCH_EVERY_SEC = 1.0
_END_LIMIT_SEC = 1.0
_MAX_ANSWER_BYTES = 1 << 30


class Died(Exception):
    """The process ended, or was ended, before it answered."""


@dataclass(frozen=True)
class Work:
    """What worker processes are to do."""

    call: str
    """``module:function``, or ``module:Class`` of what makes the function."""
    limit_sec: float
    """Seconds that one item may take."""
    memory_mb: float | None = None
    """Megabytes that a process may take beyond what it has before the first item; None for no limit."""
    options: dict[str, Any] | None = None
    """Keywords for what makes the function; None if ``call`` is the function itself."""


class WorkerProcess:
    """One worker process; ``start`` it, ``ask`` it, ``close`` it. ``kill`` may be called by another thread."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.begun = -1
        self._why = ""
        self._is_silent = False
        self._mb_when_ready: float | None = None
        self._deadline = time.monotonic() + _START_LIMIT_SEC
        self._lock = threading.Lock()
        self._closed = False
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
            "OMP_NUM_THREADS": "1",
            # others take memory in advance, which would count against the limit
            "ARROW_DEFAULT_MEMORY_POOL": "system",
        }
        self.popen = subprocess.Popen(
            # -P: a file in the folder one works in must not stand in for a library
            [sys.executable, "-P", "-m", "etude.data.worker", work.call],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )

    def start(self) -> None:
        """Wait until the process is ready.

        Raises:
            Died: it ended before it was.
            EtudeError: the options do not fit this machine.
            RuntimeError: the program has a fault.
        """
        order = asdict(self.work)
        order.pop("call")
        self._send(b"*", order)
        kind, _ = self._receive()
        if kind != b"+":
            raise Died
        if self.work.memory_mb is not None and not memory.LIMITED_BY_SYSTEM:
            self._mb_when_ready = memory.resident_mb(self.popen.pid)

    def ask(self, items: Sequence[Any]) -> bytes:
        """Return the result for items.

        Raises:
            Died: the process died at item ``begun`` (-1: before the first).
            EtudeError: the function raised one.
            RuntimeError: the function raised another exception.
        """
        self.begun = -1
        self._deadline = time.monotonic() + self.work.limit_sec
        self._send(b"?", list(items))
        while True:
            kind, content = self._receive()
            match kind:
                case b"=":
                    return content
                case b"m":
                    self._end(self._too_much_memory())
                case b"." if self.begun + 1 < len(items):
                    self.begun += 1
                    self._deadline = time.monotonic() + self.work.limit_sec
                case _:
                    self._end("the reader wrote what nobody understands")

    def kill(self) -> None:
        """End the process and all that it started."""
        with self._lock:
            # once it is waited for, its number may belong to another
            if not self._closed:
                with contextlib.suppress(OSError):
                    os.killpg(self.popen.pid, signal.SIGKILL)

    def close(self) -> tuple[str, bool]:
        """End the process; return how it ended, and whether somebody else had killed it."""
        if self._is_silent and not self._why:
            self._let_end()
        self.kill()
        with self._lock:
            self._closed = True
        for stream in (self.popen.stdin, self.popen.stdout):
            with contextlib.suppress(OSError):
                stream.close()
        code = self.popen.wait()
        if self._why:
            return self._why, False
        if code == -signal.SIGALRM:
            return self._too_long(), False
        if code == -signal.SIGKILL:
            return "the reader was killed from outside (SIGKILL); the machine may lack memory", True
        if code < 0:
            return f"the reader crashed ({_signal_name(-code)})", False
        return f"the reader ended with exit code {code}", False

    def _send(self, kind: bytes, content: Any) -> None:
        try:
            write_frame(self.popen.stdin, kind, json.dumps(content).encode())
        except OSError as error:
            self._is_silent = True
            raise Died from error

    def _receive(self) -> tuple[bytes, bytes]:
        kind, length = HEAD.unpack(self._exactly(HEAD.size))
        if length > _MAX_ANSWER_BYTES:
            self._end("the reader wrote what nobody understands")
        content = bytes(self._exactly(length))
        if kind == b"!":
            raise RuntimeError(f"a worker process failed:\n{content.decode()}")
        if kind == b"e":
            raise CorpusError(content.decode())
        return kind, content

    def _exactly(self, length: int) -> bytearray:
        content, at = bytearray(length), 0
        while at < length:
            self._wait_for_more()
            got = os.readv(self.popen.stdout.fileno(), [memoryview(content)[at:]])
            if not got:
                self._is_silent = True
                raise Died
            at += got
        return content

    def _wait_for_more(self) -> None:
        ready = select.poll()
        ready.register(self.popen.stdout, select.POLLIN)
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                self._end(self._too_long())
            if ready.poll(1000 * min(left, _WATCH_EVERY_SEC)):
                return
            if self._has_ended() and not ready.poll(0):
                # children that it left behind hold its output open
                raise Died
            if self._takes_too_much():
                self._end(self._too_much_memory())

    def _takes_too_much(self) -> bool:
        if self._mb_when_ready is None:
            return False
        return memory.resident_mb(self.popen.pid) - self._mb_when_ready > self.work.memory_mb

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.popen.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def _end(self, why: str) -> None:
        self._why = why
        self.kill()
        raise Died

    def _let_end(self) -> None:
        """Wait for a process that closed its output, so that its own end is seen and not the one we give it."""
        until = time.monotonic() + _END_LIMIT_SEC
        while time.monotonic() < until and not self._has_ended():
            time.sleep(0.005)

    def _too_long(self) -> str:
        return f"the reader took more than {self.work.limit_sec:g} s"

    def _too_much_memory(self) -> str:
        return f"the reader needed more than {self.work.memory_mb:g} MB of memory"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
