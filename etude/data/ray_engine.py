"""The engine that works on all machines of a Ray cluster, with the outcomes of the local one.

Each Ray actor owns one worker process, so that a file is isolated exactly as it is on one machine. What an
actor was doing when its node died is done again elsewhere. Results come back in order, and a bounded number of
jobs is under way. The libraries that decide what comes out must be the same on all nodes.

Ray is found as it finds itself: what this process is connected to already, else ``RAY_ADDRESS``, else a
cluster that runs on this machine, else one is started for as long as it is needed.
"""

import contextlib
import heapq
import os
import platform
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from typing import Any, NamedTuple

from etude import __version__
from etude.data.line import Job, Line, Outcome
from etude.data.worker_process import Work
from etude.data.workers import Reader
from etude.errors import CorpusError, EtudeError, MissingExtraError

_SAME_EVERYWHERE = ("numpy", "pyarrow", "symusic")
_UNDER_WAY = 2
_ASK_EVERY_SEC = 1.0
_CONNECT_LIMIT_SEC = 10.0
_NO_NODE_LIMIT_SEC = 300.0
_MAX_LOSSES = 8

Returned = tuple[int, int, bytes | None, str]


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
    """Yield the outcome of all jobs, in the order of their items; see ``etude.data.workers.run_in_order``.

    Args:
        workers: processors of the cluster to use, at most; those that it does not have yet are waited for
            while the others work. None for all that it has now.

    Raises:
        MissingExtraError: Ray is not installed.
        CorpusError: no Ray cluster answers, a node has other libraries, or no node is left.
        EtudeError: the function raised one.
        RuntimeError: the function raised another exception, or no process can be started.
    """
    work = Work(call, limit_sec, memory_mb, options)
    with _connected() as ray:
        crew = _Crew(ray, work, workers or max(1, int(ray.cluster_resources().get("CPU", 1))), ahead)
        try:
            yield from crew.outcomes(iter(jobs))
        finally:
            crew.close()


class Hand:
    """What an actor is: the owner of one worker process on some node."""

    def __init__(self, work: Work) -> None:
        self.reader = Reader(work)

    def ready(self) -> tuple[str, dict[str, str]]:
        """Return the name of this machine and the versions of what decides the results."""
        return platform.node(), _versions()

    def run(self, job: Job) -> list[Returned]:
        """Run a job to its end; return first place, number of items, result and reason of each outcome."""
        todo, done = [job], []
        while todo:
            outcomes, again = self.reader.run(heapq.heappop(todo))
            done += outcomes
            for part in again:
                heapq.heappush(todo, part)
        return [(one.job.first, len(one.job.items), one.result, one.reason) for one in done]


class _Task(NamedTuple):
    """Something that an actor has been asked."""

    hand: int
    job: Job | None
    """None: whether it is ready."""


class _Crew:
    """Actors, and what each of them has been asked."""

    def __init__(self, ray: Any, work: Work, workers: int, ahead: int) -> None:
        self.ray = ray
        self.work = ray.put(work)
        self.line = Line(ahead * workers)
        # losses of nodes are seen to here, so that a job never waits for a node that does not come back
        self.remote = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(Hand)
        self.numbers = count()
        self.actors: dict[int, Any] = {}
        self.is_ready: set[int] = set()
        self.asked: dict[Any, _Task] = {}
        self.losses: dict[int, int] = {}
        self.failed_starts = 0
        self.last_sign = time.monotonic()
        for _ in range(workers):
            self._hire()

    def outcomes(self, jobs: Iterator[Sequence[Any]]) -> Iterator[Outcome]:
        while True:
            while (outcome := self.line.pop()) is not None:
                yield outcome
            self._hand_out(jobs)
            if self.line.is_over():
                return
            refs = list(self.asked)
            # for the first, then all that are there by now
            if self.ray.wait(refs, num_returns=1, timeout=_ASK_EVERY_SEC)[0]:
                refs, _ = self.ray.wait(refs, num_returns=len(refs), timeout=0)
                for ref in refs:
                    self._take_back(ref, self.asked.pop(ref))
                self.last_sign = time.monotonic()
            self._check_that_somebody_works()

    def close(self) -> None:
        for actor in self.actors.values():
            with contextlib.suppress(Exception):
                self.ray.kill(actor)

    def _hand_out(self, jobs: Iterator[Sequence[Any]]) -> None:
        busy = dict.fromkeys(self.is_ready, 0)
        for task in self.asked.values():
            if task.hand in busy:
                busy[task.hand] += 1
        while busy:
            hand = min(busy, key=busy.__getitem__)
            if busy[hand] >= _UNDER_WAY or (job := self._next_job(jobs)) is None:
                return
            self.asked[self.actors[hand].run.remote(job)] = _Task(hand, job)
            busy[hand] += 1

    def _next_job(self, jobs: Iterator[Sequence[Any]]) -> Job | None:
        if self.line.may_repeat():
            return self.line.repeat()
        if not self.line.may_add():
            return None
        items = next(filter(None, jobs), None)
        if items is None:
            self.line.is_all_taken = True
            return None
        return self.line.add(items)

    def _take_back(self, ref: Any, task: _Task) -> None:
        try:
            answer = self.ray.get(ref)
        except self.ray.exceptions.RayTaskError as error:
            raise _cause_of(error) from None
        except self.ray.exceptions.RayError as error:
            self._lose(task, error)
            return
        if task.job is None:
            _check_versions(*answer)
            self.is_ready.add(task.hand)
            self.failed_starts = 0
            return
        first, items = task.job.first, task.job.items
        for at, number, result, reason in answer:
            part = items[at - first : at - first + number]
            self.line.give([Outcome(Job(at, part), result, reason)], [])

    def _lose(self, task: _Task, error: Exception) -> None:
        """See to it that what an actor was doing is done again, and that another takes its place."""
        why = " ".join(str(error).split())
        if task.job is None:
            self.failed_starts += 1
            if self.failed_starts > _MAX_LOSSES:
                raise CorpusError(f"ray: no reader can be started on the cluster: {why}")
        else:
            losses = self.losses[task.job.first] = self.losses.get(task.job.first, 0) + 1
            if losses > _MAX_LOSSES:
                raise CorpusError(f"ray: {task.job.items[0]} and what follows was lost {losses} times: {why}")
            self.line.give([], [task.job])
        if task.hand in self.actors:
            self.is_ready.discard(task.hand)
            with contextlib.suppress(Exception):
                self.ray.kill(self.actors.pop(task.hand))
            self._hire()

    def _hire(self) -> None:
        number = next(self.numbers)
        self.actors[number] = self.remote.options(scheduling_strategy="SPREAD").remote(self.work)
        self.asked[self.actors[number].ready.remote()] = _Task(number, None)

    def _check_that_somebody_works(self) -> None:
        if self.is_ready:
            self.last_sign = time.monotonic()
        elif time.monotonic() - self.last_sign > _NO_NODE_LIMIT_SEC:
            raise CorpusError(
                f"ray: no node has offered a processor for {_NO_NODE_LIMIT_SEC:g} s; see `ray status`, then run this "
                "again: it goes on where it stopped"
            )


@contextlib.contextmanager
def _connected() -> Iterator[Any]:
    # reports of use go nowhere unless somebody asks for them
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise MissingExtraError("the engine ray needs the package ray; run: pip install 'etude[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    _check_that_somebody_listens(os.environ.get("RAY_ADDRESS", ""))
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(error) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_that_somebody_listens(address: str) -> None:
    """Refuse a host and port where nobody is: Ray itself would try for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    # others are names that Ray understands
    if port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_LIMIT_SEC).close()
        except (OSError, OverflowError) as error:
            raise _no_cluster(f"RAY_ADDRESS = {address!r}: {error}") from error


def _no_cluster(why: Exception | str) -> CorpusError:
    text = " ".join(str(why).split())
    return CorpusError(f"ray: no cluster answers: {text}; set RAY_ADDRESS to the address of its head node")


def _cause_of(error: Any) -> Exception:
    cause = error.cause
    return cause if isinstance(cause, (EtudeError, RuntimeError)) else RuntimeError(str(error))


def _versions() -> dict[str, str]:
    found = {"etude": __version__}
    for name in _SAME_EVERYWHERE:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _check_versions(node: str, there: dict[str, str]) -> None:
    here = _versions()
    for name in sorted(here | there):
        if here.get(name) != there.get(name):
            raise CorpusError(
                f"ray: node {node} has {name} {there.get(name)}, this machine has {here.get(name)}; "
                "install the same on all nodes"
            )
