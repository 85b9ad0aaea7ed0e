"""Run a command and watch it: wall time, and processor time and memory of all its processes together."""

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

_SAMPLE_EVERY_SEC, _LOOK_EVERY_SEC = 0.05, 0.005


class Ran(NamedTuple):
    """A command that has run.

    Attributes:
        wall_sec: from start to end.
        cpu_sec: processor time of the command and all its processes that have ended.
        peak_bytes: the largest sum of their proportional set sizes, sampled 20 times a second; 0 if it was not.
        printed: standard output.
    """

    wall_sec: float
    cpu_sec: float
    peak_bytes: int
    printed: bytes


def watched(command: list, *, memory: bool = True) -> Ran:
    """Run a command; stop the benchmark if it fails.

    Args:
        command: program and arguments.
        memory: sample it; the system then holds the command's processes up, by a fifth of their time.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if memory:
                peak = max(peak, sum(map(proportional_bytes, family(process.pid))))
            time.sleep(_SAMPLE_EVERY_SEC if memory else _LOOK_EVERY_SEC)
        wall = time.monotonic() - began
        printed = process.stdout.read()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))}: ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(wall, cpu, peak, printed)


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += (task / "children").read_text().split() if task.name != str(pid) else []
    except OSError:
        return [pid]
    return [pid, *(below for child in children for below in family(int(child)))]


def proportional_bytes(pid: int) -> int:
    """Return the proportional set size of a process: shared pages divided among those who share them."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
