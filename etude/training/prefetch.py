"""Batches made ahead of the step that needs them, in a thread beside it.

A batch is a function of its step, so it has the same bytes whether it was made ahead, on demand, or anew after
a resume; there is no queue whose place a checkpoint would have to remember.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Prefetch:
    """Gives the batch of a step, and has a thread make those of the next steps meanwhile.

    The thread ends with the object: nothing has to be closed.

    Args:
        load: gives the batch of a step; called in the thread, one call at a time.
        ahead: how many batches may be ready and waiting; 0 makes each one when it is asked for.

    Example:
        >>> batches = Prefetch(lambda step: step * step, ahead=2)
        >>> [batches.at(step) for step in (0, 1, 2, 7)]
        [0, 1, 4, 49]
    """

    def __init__(self, load: Callable[[int], Any], ahead: int) -> None:
        self._load = load
        self._ahead = ahead
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches") if ahead else None
        self._coming: dict[int, Future] = {}

    def at(self, step: int) -> Any:
        """Return the batch of a step; whatever went wrong while it was made is raised here."""
        if self._thread is None:
            return self._load(step)
        for other in set(self._coming) - set(range(step, step + self._ahead + 1)):
            self._coming.pop(other).cancel()
        for wanted in range(step, step + self._ahead + 1):
            if wanted not in self._coming:
                self._coming[wanted] = self._thread.submit(self._load, wanted)
        return self._coming.pop(step).result()
