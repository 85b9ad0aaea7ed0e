"""Run a function over many items in processes that may die, and lose nothing.

Results come back in the order of the items whatever the timing, and only a bounded number waits in
memory. An item at which a process dies, hangs or takes too much memory is taken out of its job and run
again alone, in a fresh process; if that fails too the item is given up with a reason. The other items of the
job are run again.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from etude.data.line import Job, Line, Outcome
from etude.data.worker_process import Died, Work, WorkerProcess
from etude.errors import CorpusError

_STARTS = 3
_STARTS_WHEN_KILLED = 10
_PAUSE_SEC = 1.0
_LONE_TRIES_WHEN_KILLED = 3


def run_in_order(
    jobs: Iterable[Sequence[Any]],
    call: str,
    *,
    workers: int | None,
    limit_sec: float,
    memory_mb: float | None = None,
    options: dict[str, Any] | None = None,
    ahead: int = 4,
) -> Iterator[Outcome]:
    """Yield the outcome of all jobs, in the order of their items.

    A job that lost a process comes back as several outcomes, still in order.

    Args:
        jobs: items that JSON can hold, in groups worth one request each; taken as they are needed.
        call: ``module:function`` with the signature ``(items, begin) -> bytes``, which calls ``begin()``
            before each item. With ``options``, ``module:Class`` of what makes such a function.
        workers: processes at a time; None for one on each core that this process may use.
        limit_sec: seconds that one item may take.
        memory_mb: megabytes that a process may take beyond what it has before its first item; the function
            should let MemoryError through. None for no limit.
        options: keywords for ``module:Class``, as JSON can hold them; it is called once in each process.
        ahead: results kept waiting for an earlier one, in jobs per worker.

    Raises:
        EtudeError: the function raised one, or processes are killed as soon as they start.
        RuntimeError: the function raised another exception, or no process can be started.
    """
    team = _Team(jobs, Work(call, limit_sec, memory_mb, options), workers or _cores(), ahead)
    threads = [threading.Thread(target=team.serve, args=(reader,), daemon=True) for reader in team.readers]
    for thread in threads:
        thread.start()
    try:
        yield from team.outcomes()
    finally:
        team.stop()
        for thread in threads:
            thread.join()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Reader:
    """Runs jobs in one process at a time, which is started when needed and after every death."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._process: WorkerProcess | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def run(self, job: Job) -> tuple[list[Outcome], list[Job]]:
        """Run a job; return what is done and what has to be run again.

        Raises:
            EtudeError: the function raised one.
            RuntimeError: the function raised another exception, or no process can be started.
        """
        if job.alone:
            # what others left in the memory of a process must not count
            self._close()
        process = self._process or self._start()
        try:
            return [Outcome(job, process.ask(job.items))], []
        except Died:
            culprit = max(process.begun, 0)
            return _after_death(job, culprit, *self._close())

    def stop(self) -> None:
        """End the process, from whatever thread; no other is started."""
        self._stopped.set()
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the process and wait for its end."""
        self.stop()
        self._close()

    def _start(self) -> WorkerProcess:
        for number in range(1, _STARTS_WHEN_KILLED + 1):
            with self._lock:
                if self._stopped.is_set():
                    raise RuntimeError("stopped")
                self._process = WorkerProcess(self.work)
            try:
                self._process.start()
                return self._process
            except Died:
                ended, was_killed = self._close()
            if not was_killed and number >= _STARTS:
                raise RuntimeError(f"a worker process could not start: {ended}")
            # a machine short of memory may have more in a moment
            self._stopped.wait(_PAUSE_SEC)
        raise CorpusError(f"readers are killed as soon as they start: {ended}; take fewer workers")

    def _close(self) -> tuple[str, bool]:
        with self._lock:
            process, self._process = self._process, None
        return process.close() if process is not None else ("", False)


class _Team:
    """The shared state of the threads, one of which talks to each process."""

    def __init__(self, jobs: Iterable[Sequence[Any]], work: Work, workers: int, ahead: int) -> None:
        self.readers = [Reader(work) for _ in range(workers)]
        self.jobs = iter(jobs)
        self.line = Line(ahead * workers)
        self.is_taking = False
        self.stopped = False
        self.failure: BaseException | None = None
        self.changed = threading.Condition()

    def outcomes(self) -> Iterator[Outcome]:
        while True:
            with self.changed:
                while (outcome := self.line.pop()) is None:
                    if self.failure:
                        raise self.failure
                    if self.line.is_over():
                        return
                    self.changed.wait()
                self.changed.notify_all()
            yield outcome

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            self.changed.notify_all()
        for reader in self.readers:
            reader.stop()

    def serve(self, reader: Reader) -> None:
        try:
            while (job := self._take()) is not None:
                outcomes, again = reader.run(job)
                with self.changed:
                    self.line.give(outcomes, again)
                    self.changed.notify_all()
        except BaseException as error:
            with self.changed:
                self.failure = self.failure or error
                self.changed.notify_all()
        finally:
            reader.close()

    def _take(self) -> Job | None:
        """Return what to do next, as soon as it may be done; None when all is done."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._is_at_end() or self.line.may_repeat() or self._may_add())
                if self._is_at_end():
                    return None
                if self.line.may_repeat():
                    return self.line.repeat()
                self.is_taking = True
            # the caller's own code, which may take its time: nobody has to wait for it
            items = next(filter(None, self.jobs), None)
            with self.changed:
                self.is_taking = False
                self.changed.notify_all()
                if items is not None:
                    return self.line.add(items)
                self.line.is_all_taken = True

    def _may_add(self) -> bool:
        return not self.is_taking and self.line.may_add()

    def _is_at_end(self) -> bool:
        return self.stopped or self.failure is not None or self.line.is_over()


def _after_death(job: Job, culprit: int, reason: str, was_killed: bool) -> tuple[list[Outcome], list[Job]]:
    if job.alone and not (was_killed and job.alone < _LONE_TRIES_WHEN_KILLED):
        return [Outcome(job, None, reason)], []
    parts = [(0, culprit, 0), (culprit, culprit + 1, job.alone + 1), (culprit + 1, len(job.items), 0)]
    return [], [Job(job.first + a, job.items[a:b], alone) for a, b, alone in parts if a < b]
