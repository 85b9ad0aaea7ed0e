"""What went wrong on one rank, told to the others: of many errors that follow from one, that one is shown."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch.distributed as dist

from etude.errors import EtudeError, RunError
from etude.training.distributed import Ranks

_LISTEN_SEC = 1.0


@contextlib.contextmanager
def telling(ranks: Ranks) -> Iterator[None]:
    """Tell the other ranks what went wrong here; say what went wrong elsewhere rather than what came of it.

    Raises:
        RunError: another rank failed, or is gone.
    """
    try:
        yield
    except Exception as error:
        if ranks.is_alone:
            raise
        patience = _LISTEN_SEC if _lost_a_rank(error) else 0.0
        told = _within(patience + _LISTEN_SEC, lambda: _listen(ranks, patience))
        if told is not None:
            raise RunError(told) from error
        if _lost_a_rank(error):
            raise RunError(
                f"rank {ranks.rank} lost another rank: {_first_sentence(error)}; "
                "the same command goes on from the newest checkpoint"
            ) from error
        reason = str(error) if isinstance(error, EtudeError) else f"{type(error).__name__}: {error}"
        _within(_LISTEN_SEC, lambda: ranks.store.set(f"failed/{ranks.rank}", f"rank {ranks.rank}: {reason}"))
        raise


def _listen(ranks: Ranks, seconds: float) -> str | None:
    """Return what another rank told of its failure, waiting so long for it."""
    until = time.monotonic() + seconds
    while True:
        for rank in set(range(ranks.size)) - {ranks.rank}:
            if ranks.store.check([f"failed/{rank}"]):
                return ranks.store.get(f"failed/{rank}").decode()
        if time.monotonic() >= until:
            return None
        time.sleep(0.1)


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what a call gives, or None: when the rank that holds the words is gone, calls fail or never end."""
    answers: list[Any] = []

    def ask() -> None:
        with contextlib.suppress(Exception):
            answers.append(call())

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else None


def _lost_a_rank(error: Exception) -> bool:
    if isinstance(error, EtudeError):
        return False
    return isinstance(error, (dist.DistError, ConnectionError)) or "gloo" in str(error)


def _first_sentence(error: Exception) -> str:
    line = re.sub(r"\[\S*gloo\S*\] ", "", (str(error).splitlines() or [""])[0])  # without the place in gloo's sources
    return line.partition(". ")[0]
