"""Contenders in processes of their own, one pass each in turn, so that a busy machine slows all of them alike.

A benchmark that uses this is started again for each contender, with ``--contender NAME``; it then calls ``serve``,
which prepares, warms up and does one pass for every line it reads. Memory is therefore each contender's own.
"""

import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def serve(prepare: Callable[[], Callable[[], None]], facts: Callable[[], dict[str, Any]] = dict) -> None:
    """Be a contender: prepare, warm up by one pass, then do a pass for each line on standard input.

    Args:
        prepare: returns what one pass is; importing the contender's libraries is its own affair.
        facts: called after the warm-up; what it returns is told with the first answer.
    """
    run = prepare()
    run()
    _answer(facts())
    for _ in sys.stdin:
        began, began_cpu = time.perf_counter(), time.process_time()
        run()
        _answer(
            {
                "wall_sec": time.perf_counter() - began,
                "cpu_sec": time.process_time() - began_cpu,
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )


def take_turns(
    script: Path, names: Iterable[str], *, passes: int, threads: int, arguments: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """Run ``passes`` rounds of one pass for each contender.

    Returns:
        Name to the contender's facts, with ``wall_sec`` and ``cpu_sec`` (lists, a value a pass) and ``peak_bytes``.
    """
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    results: dict[str, dict[str, Any]] = {}
    processes = {}
    try:
        for name in names:
            command = [sys.executable, str(script), "--contender", name, *arguments]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
            processes[name] = process
            # one after the other, so that no warm-up disturbs another
            results[name] = json.loads(process.stdout.readline()) | {"wall_sec": [], "cpu_sec": []}
        for _ in range(passes):
            for name, process in processes.items():
                process.stdin.write("\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline())
                results[name]["wall_sec"].append(answer["wall_sec"])
                results[name]["cpu_sec"].append(answer["cpu_sec"])
                results[name]["peak_bytes"] = answer["peak_bytes"]
    finally:
        for process in processes.values():
            process.stdin.close()
            process.wait()
    return results


def speed_up(result: dict[str, Any], over: dict[str, Any], *, clock: str = "wall_sec") -> float:
    """Return how many times as fast as ``over``: the median over rounds, by the clock on the wall or ``cpu_sec``."""
    return statistics.median(b / a for a, b in zip(result[clock], over[clock], strict=True))


def machine(*packages: str) -> str:
    """Say the processor, its cores and the versions, in one line."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}"


def _answer(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)
