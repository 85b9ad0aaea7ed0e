"""Looking into steps: who is stuck, what takes time, where the CPU waits for the device, what the loader costs.

    logs/rank_<k>.log                   the stack of every thread, when a step takes longer than train.stuck_after_sec
    profile/trace-step-<n>.json         train.profile: a trace for chrome://tracing or ui.perfetto.dev, and a table .txt
    profile/syncs-step-<n>.txt          train.show_syncs: every call that makes the CPU wait, with its line of code
    profile/made_data.json              train.made_data: seconds a step when batches cost nothing

Steps are counted from the start of the process: the second one shows its waits and the third is traced, since the first
allocates and compiles.
"""

import collections
import contextlib
import faulthandler
import statistics
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from etude.files import write_json, write_text

_SYNCS_AT, _TRACE_AT = 2, 3
_WAITS = {
    "aten::_local_scalar_dense": "a number is read: item(), float(), if",
    "aten::is_nonzero": "a number is read: if",
    "aten::equal": "tensors are compared as a whole",
    "aten::nonzero": "the size of the result depends on the values",
    "aten::masked_select": "the size of the result depends on the values",
    "aten::_unique2": "the size of the result depends on the values",
    "aten::unique_consecutive": "the size of the result depends on the values",
}
_COPIES = ("aten::_to_copy", "aten::copy_")


class Observer:
    """Watches the steps of one process; within ``with``, each step is done in ``with observer.step():``.

    Args:
        run_path: the run's folder.
        config: of the run.
        rank: of this process.
    """

    def __init__(self, run_path: Path, config: Any, rank: int = 0) -> None:
        self._folder = run_path / "profile"
        self._log_path = run_path / "logs" / f"rank_{rank}.log"
        self._config = config
        self._is_first = rank == 0
        self._seconds: list[float] = []
        self._log = None

    def __enter__(self) -> "Observer":
        if self._config.train.stuck_after_sec:
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            self._log = self._log_path.open("ab")
        return self

    def __exit__(self, *_: object) -> None:
        if self._log is not None:
            self._log.close()
        if self._config.train.made_data and self._seconds and self._is_first:
            self._write_load()

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Watch what happens within as one step."""
        number, machine = len(self._seconds) + 1, self._config.train
        with contextlib.ExitStack() as stack:
            if self._log is not None:
                stack.enter_context(stacks_when_stuck(self._log, machine.stuck_after_sec))
            if machine.show_syncs and number == _SYNCS_AT and self._is_first:
                stack.enter_context(_shown_syncs(self._folder / f"syncs-step-{number}.txt"))
            if machine.profile and number == _TRACE_AT and self._is_first:
                stack.enter_context(_traced(self._folder / f"trace-step-{number}.json"))
            started = time.perf_counter()
            yield
            self._seconds.append(time.perf_counter() - started)

    def _write_load(self) -> None:
        seconds = statistics.median(self._seconds[1:] or self._seconds)
        tokens = self._config.train.batch_tokens
        write_json(
            self._folder / "made_data.json",
            {"steps": len(self._seconds), "seconds_per_step": seconds, "tokens_per_sec": tokens / seconds},
        )


@contextlib.contextmanager
def stacks_when_stuck(log: Any, seconds: float) -> Iterator[None]:
    """Have the stack of every thread written while what happens within takes longer, again after as long again.

    A thread of the interpreter's own does it, so it works while all others wait for a lock, a device or another rank.

    Args:
        log: an open file.
        seconds: of patience.
    """
    faulthandler.dump_traceback_later(seconds, repeat=True, file=log)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def _traced(path: Path) -> Iterator[None]:
    with torch.profiler.profile(record_shapes=True) as profiler:
        yield
    path.parent.mkdir(exist_ok=True)
    profiler.export_chrome_trace(str(path))
    order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    write_text(path.with_suffix(".txt"), profiler.key_averages().table(sort_by=order, row_limit=40))


@contextlib.contextmanager
def _shown_syncs(path: Path) -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught, _Syncs() as syncs:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            if torch.cuda.is_available():
                torch.cuda.set_sync_debug_mode("default")
    lines = [f"{count} x {what}" for what, count in syncs.found.most_common()]
    told = [f"{one.filename}:{one.lineno}: {one.message}" for one in caught if "synchronizing" in str(one.message)]
    write_text(path, "\n".join([*lines, *told]) + "\n")


class _Syncs(TorchDispatchMode):
    """Counts the calls that make the CPU wait for the device, by the innermost line of code that is not torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.found: collections.Counter[str] = collections.Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.name().split(".")[0]
        why = _WAITS.get(name) or (name in _COPIES and _leaves_device(args, result) and "a tensor is copied to the CPU")
        if why:
            self.found[f"{_place()}: {name.removeprefix('aten::')}: {why}"] += 1
        return result


def _leaves_device(args: tuple, result: Any) -> bool:
    sources = [value.device.type for value in args if isinstance(value, torch.Tensor)]
    return result.device.type == "cpu" and any(kind != "cpu" for kind in sources)


def _place() -> str:
    inside = str(Path(torch.__file__).parent)
    own = [frame for frame in traceback.extract_stack()[:-2] if not frame.filename.startswith(inside)]
    return f"{own[-1].filename}:{own[-1].lineno} {own[-1].name}" if own else "torch"
