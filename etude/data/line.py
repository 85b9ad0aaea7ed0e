"""Jobs in their order: what may be done next, what is done, and what is given away next.

An engine takes jobs from a ``Line`` in their order, does them at any speed, and gives back what became of
them; the line gives the outcomes away in the order of the items. How far the work may run ahead is bounded, in
jobs and in bytes, so a slow job costs time and no memory. Not safe for threads by itself.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_WAITING_BYTES = 256 << 20


@dataclass(order=True)
class Job:
    """Neighbouring items that one process works through."""

    first: int
    """Place of the first item among all."""
    items: Sequence[Any] = field(compare=False)
    alone: int = field(default=0, compare=False)
    """How often the item has been suspected; it then runs by itself."""


@dataclass
class Outcome:
    """What became of a job: a result, or the reason why its only item was given up."""

    job: Job
    result: bytes | None
    reason: str = ""


class Line:
    """What is known of all jobs.

    Args:
        ahead: outcomes kept waiting for an earlier one, at most.
    """

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead
        self.is_all_taken = False
        """Set by the engine as soon as there are no new jobs."""
        self._again: list[Job] = []
        self._done: dict[int, Outcome] = {}
        self._next = 0
        self._taken = 0

    def add(self, items: Sequence[Any]) -> Job:
        """Return the job of the next items of all."""
        job = Job(self._taken, items)
        self._taken += len(items)
        return job

    def may_add(self) -> bool:
        """Say whether a new job may be begun now."""
        return not self.is_all_taken and self._may_begin(self._taken)

    def may_repeat(self) -> bool:
        """Say whether there is a job to be done again, and it may be begun now."""
        return bool(self._again) and self._may_begin(self._again[0].first)

    def repeat(self) -> Job:
        """Return the first of the jobs to be done again; they come before new ones."""
        return heapq.heappop(self._again)

    def give(self, outcomes: Sequence[Outcome], again: Sequence[Job]) -> None:
        """Take what became of a job: outcomes, and parts of it that have to be done again."""
        for outcome in outcomes:
            self._done[outcome.job.first] = outcome
        for job in again:
            heapq.heappush(self._again, job)

    def pop(self) -> Outcome | None:
        """Return the outcome that comes next, or None if it is not there yet."""
        outcome = self._done.pop(self._next, None)
        if outcome is not None:
            self._next += len(outcome.job.items)
        return outcome

    def is_over(self) -> bool:
        """Say whether every outcome has been given away."""
        return self.is_all_taken and self._next >= self._taken

    def _may_begin(self, first: int) -> bool:
        # the job that everyone waits for always may
        return first == self._next or (len(self._done) < self.ahead and self._waiting_bytes() < _WAITING_BYTES)

    def _waiting_bytes(self) -> int:
        return sum(len(outcome.result or b"") for outcome in self._done.values())
