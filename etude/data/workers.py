"""Run a function over many items in processes that may die, and lose nothing.

Results come back in the order of the items whatever the timing, and only a bounded number waits in
memory. An item at which a process dies or hangs is taken out of its job and run again alone; if that
fails too the item is given up with a reason. The other items of the job are run again.
"""

import contextlib
import heapq
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from etude.data.worker import read_frame, write_frame

_START_LIMIT_SEC = 120.0
_WATCH_EVERY_SEC = 0.2


@dataclass(order=True)
class Job:
    """Neighbouring items that one process works through."""

    first: int
    """Place of the first item among all."""
    items: Sequence[str] = field(compare=False)
    alone: bool = field(default=False, compare=False)
    """Whether the item is suspected and runs by itself."""


@dataclass
class Outcome:
    """What became of a job: a result, or the reason why its only item was given up."""

    job: Job
    result: bytes | None
    reason: str = ""


def run_in_order(
    jobs: Sequence[Sequence[str]], call: str, *, workers: int, limit_sec: float, ahead: int = 4
) -> Iterator[Outcome]:
    """Yield the outcome of all jobs, in the order of their items.

    A job that lost a process comes back as several outcomes, still in order.

    Args:
        jobs: items, in groups worth one request each.
        call: ``module:function`` with the signature ``(items, begin) -> bytes``, see ``worker.main``.
        workers: processes at a time.
        limit_sec: seconds that one item may take.
        ahead: results kept waiting for an earlier one, in jobs per worker.

    Raises:
        RuntimeError: the function raised, or no process can be started.
    """
    team = _Team(jobs, call, limit_sec, ahead * workers)
    roles = [team.serve] * max(1, min(workers, len(jobs))) + [team.watch]
    threads = [threading.Thread(target=role, daemon=True) for role in roles]
    for thread in threads:
        thread.start()
    try:
        yield from team.outcomes()
    finally:
        team.stop()
        for thread in threads:
            thread.join()


class _Process:
    """One worker process."""

    def __init__(self, call: str, limit_sec: float) -> None:
        self.limit_sec = limit_sec
        self.begun = -1
        self.timed_out = False
        self.deadline = time.monotonic() + _START_LIMIT_SEC
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
            "OMP_NUM_THREADS": "1",
        }
        self.popen = subprocess.Popen(
            # -P: a file in the folder one works in must not stand in for a library
            [sys.executable, "-P", "-m", "etude.data.worker", call],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    def start(self) -> None:
        kind, content = self._read()
        if kind != b"+":
            raise RuntimeError(f"a worker process could not start:\n{content.decode()}")
        self.deadline = None

    def ask(self, items: Sequence[str]) -> bytes:
        """Return the result for items; EOFError says that the process died at item ``begun``."""
        self.begun = -1
        self.deadline = time.monotonic() + self.limit_sec
        try:
            write_frame(self.popen.stdin, b"?", json.dumps(list(items)).encode())
        except OSError as error:
            raise EOFError from error
        while True:
            kind, content = self._read()
            if kind == b"=":
                self.deadline = None
                return content
            if kind == b"!":
                raise RuntimeError(f"a worker process failed:\n{content.decode()}")
            self.begun += 1
            self.deadline = time.monotonic() + self.limit_sec

    def close(self) -> str:
        """End the process; return how it ended."""
        self.deadline = None
        self.popen.kill()
        with contextlib.suppress(OSError):
            self.popen.stdin.close()
        self.popen.stdout.close()
        code = self.popen.wait()
        if self.timed_out:
            return f"the reader took more than {self.limit_sec:g} s"
        if code < 0:
            return f"the reader crashed ({signal.Signals(-code).name})"
        return f"the reader ended with exit code {code}"

    def _read(self) -> tuple[bytes, bytes]:
        try:
            return read_frame(self.popen.stdout)
        except (OSError, ValueError) as error:
            raise EOFError from error


class _Team:
    """The shared state of the threads, one of which talks to each process."""

    def __init__(self, jobs: Sequence[Sequence[str]], call: str, limit_sec: float, ahead: int) -> None:
        self.call, self.limit_sec = call, limit_sec
        starts = [0]
        for items in jobs:
            starts.append(starts[-1] + len(items))
        self.total = starts[-1]
        self.todo = [Job(first, items) for first, items in zip(starts, jobs, strict=False) if items]
        self.done: dict[int, Outcome] = {}
        self.next = 0
        self.ahead = ahead
        self.changed = threading.Condition()
        self.stopped = False
        self.failure: BaseException | None = None
        self.processes: set[_Process] = set()

    def outcomes(self) -> Iterator[Outcome]:
        while self.next < self.total:
            with self.changed:
                self.changed.wait_for(lambda: self.failure or self.next in self.done)
                if self.failure:
                    raise self.failure
                outcome = self.done.pop(self.next)
                self.next += len(outcome.job.items)
                self.changed.notify_all()
            yield outcome

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            for process in self.processes:
                process.popen.kill()
            self.changed.notify_all()

    def watch(self) -> None:
        while not self.stopped:
            now = time.monotonic()
            for process in list(self.processes):
                if process.deadline is not None and now > process.deadline:
                    process.timed_out = True
                    process.popen.kill()
            time.sleep(_WATCH_EVERY_SEC)

    def serve(self) -> None:
        process = None
        try:
            while (job := self._take()) is not None:
                process = process or self._start()
                try:
                    outcomes, again = [Outcome(job, process.ask(job.items))], []
                except EOFError:
                    culprit = max(process.begun, 0)
                    self.processes.discard(process)
                    outcomes, again = _after_death(job, culprit, process.close())
                    process = None
                self._give(outcomes, again)
        except BaseException as error:
            with self.changed:
                self.failure = self.failure or error
                self.changed.notify_all()
        finally:
            if process is not None:
                self.processes.discard(process)
                process.close()

    def _start(self) -> _Process:
        with self.changed:
            process = _Process(self.call, self.limit_sec)
            self.processes.add(process)
        try:
            process.start()
        except BaseException as error:
            ended = process.close()
            if isinstance(error, EOFError):
                raise RuntimeError(f"a worker process could not start: {ended}") from None
            raise
        return process

    def _take(self) -> Job | None:
        with self.changed:
            self.changed.wait_for(lambda: self.stopped or self.failure or self._may_go_on())
            if self.stopped or self.failure or not self.todo:
                return None
            return heapq.heappop(self.todo)

    def _may_go_on(self) -> bool:
        if not self.todo:
            return self.next >= self.total
        # the job that everyone waits for always may go
        return len(self.done) < self.ahead or self.todo[0].first == self.next

    def _give(self, outcomes: list[Outcome], again: list[Job]) -> None:
        with self.changed:
            for outcome in outcomes:
                self.done[outcome.job.first] = outcome
            for job in again:
                heapq.heappush(self.todo, job)
            self.changed.notify_all()


def _after_death(job: Job, culprit: int, reason: str) -> tuple[list[Outcome], list[Job]]:
    if job.alone:
        return [Outcome(job, None, reason)], []
    parts = [(0, culprit, False), (culprit, culprit + 1, True), (culprit + 1, len(job.items), False)]
    return [], [Job(job.first + a, job.items[a:b], alone) for a, b, alone in parts if a < b]
