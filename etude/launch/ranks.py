"""One command on several devices of this machine: a process each, watched until all are done.

Each process is the same command with ``RANK``, ``LOCAL_RANK``, ``WORLD_SIZE``, ``MASTER_ADDR`` and ``MASTER_PORT`` in
its environment, as ``torchrun`` sets them; see ``etude.training.distributed`` for what it makes of them. If one fails
or is killed, the others are ended within seconds, and what went wrong first is what the user sees.
"""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from etude.errors import RunError

LAUNCHED = "ETUDE_LAUNCHED"
"""Set in the environment of processes that are started here."""

INTERRUPTED = 130
_LOOK_SEC = 0.05
_LEAVE_SEC = 1.5
"""Time for others to end by themselves, and to say why, before they are asked to."""
_SAVE_SEC = 5.0
"""Time to end after being asked to, before they are killed."""
_CONSEQUENCES = {signal.SIGABRT, signal.SIGTERM, signal.SIGPIPE}
"""Signals by which a process also ends because another one did."""
_TAIL_LINES = 40


@dataclass
class _Rank:
    number: int
    process: subprocess.Popen
    output: Path | None
    error: Path
    code: int | None = None


def run_ranks(command: list[str], devices: int, *, say: Callable[[str], None]) -> int:
    """Run a command as so many ranks, until all are done.

    Args:
        command: program and arguments.
        devices: how many processes.
        say: called with lines of text for the user: the traceback of whatever is a bug.

    Returns:
        0, or 130 if they were interrupted and have saved what they had.

    Raises:
        RunError: a rank failed or was killed; the message is that of the first one.
    """
    with tempfile.TemporaryDirectory(prefix="etude-ranks-") as folder, _Forward() as forward:
        ranks = [
            _start(command, number, devices, port, Path(folder)) for port in [_free_port()] for number in range(devices)
        ]
        forward.to = [rank.process for rank in ranks]
        try:
            failed = _watch(ranks)
        finally:
            _end(ranks)
        if forward.caught:
            return INTERRUPTED
        if failed:
            raise RunError(_explain(ranks, say))
        return 0


def _start(command: list[str], number: int, devices: int, port: int, folder: Path) -> _Rank:
    error = folder / f"rank_{number}.json"
    threads = max(1, (os.cpu_count() or 1) // devices)
    environment = (
        {"OMP_NUM_THREADS": str(threads)}
        | os.environ
        | {
            "RANK": str(number),
            "LOCAL_RANK": str(number),
            "WORLD_SIZE": str(devices),
            "LOCAL_WORLD_SIZE": str(devices),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "TORCHELASTIC_ERROR_FILE": str(error),
            LAUNCHED: "1",
        }
    )
    # the first rank speaks for all; what the others print is shown if they fail
    output = folder / f"rank_{number}.txt" if number else None
    with output.open("wb") if output else Path(os.devnull).open("wb") as file:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,  # its end tells the rank that this process is gone
            stdout=file if output else None,
            stderr=file if output else None,
            start_new_session=True,  # Ctrl-C reaches them once, through here
        )
    return _Rank(number, process, output, error)


def _watch(ranks: list[_Rank]) -> bool:
    """Return once all ranks have ended well, or some time after one has not; tells whether one has not."""
    until = None
    while any(rank.code is None for rank in ranks):
        for rank in ranks:
            rank.code = rank.process.poll()
        if until is None and any(rank.code not in (None, 0, INTERRUPTED) for rank in ranks):
            until = time.monotonic() + _LEAVE_SEC
        if until is not None and time.monotonic() >= until:
            return True
        time.sleep(_LOOK_SEC)
    return until is not None


def _end(ranks: list[_Rank]) -> None:
    """End whoever is still there: first by asking."""
    for number, patience in ((signal.SIGTERM, _SAVE_SEC), (signal.SIGKILL, None)):
        left = [rank.process for rank in ranks if rank.process.poll() is None]
        for process in left:
            process.send_signal(number)
        until = time.monotonic() + (patience or 0.0)
        while patience and time.monotonic() < until and any(process.poll() is None for process in left):
            time.sleep(_LOOK_SEC)
    for rank in ranks:
        rank.process.wait()
        rank.process.stdin.close()


def _explain(ranks: list[_Rank], say: Callable[[str], None]) -> str:
    """Return one line on what went wrong first; a traceback, or what the rank printed, is said before."""
    killed = [rank for rank in ranks if rank.code is not None and rank.code < 0 and -rank.code not in _CONSEQUENCES]
    told = sorted((rank for rank in ranks if rank.error.is_file()), key=lambda rank: rank.error.stat().st_mtime_ns)
    if killed:
        return f"rank {killed[0].number} was ended by {signal.Signals(-killed[0].code).name}; {_GO_ON}"
    if told:
        values = json.loads(told[0].error.read_text())
        message = values["message"]
        if not values.get("by_user"):
            say(f"rank {told[0].number}:")
            for line in message["extraInfo"]["py_callstack"].rstrip().splitlines():
                say(line)
        line = message["message"]
        return line if line.startswith("rank ") else f"rank {told[0].number}: {line}"
    rank = next(rank for rank in ranks if rank.code not in (None, 0, INTERRUPTED))
    if rank.output:
        for line in rank.output.read_text(errors="replace").splitlines()[-_TAIL_LINES:]:
            say(line)
    how = f"by {signal.Signals(-rank.code).name}" if rank.code < 0 else f"with exit code {rank.code}"
    return f"rank {rank.number} ended {how}; {_GO_ON}"


_GO_ON = "the same command goes on from the newest checkpoint"


class _Forward:
    """Within ``with``, SIGINT and SIGTERM reach all ranks, which save and end; a third one kills them."""

    def __init__(self) -> None:
        self.caught = 0
        self.to: list[subprocess.Popen] = []
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "_Forward":
        try:
            self._previous = {name: signal.signal(name, self._send) for name in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # outside the main thread, where Python takes no signals
            self._previous = {}
        return self

    def __exit__(self, *_: object) -> None:
        for name, handler in self._previous.items():
            signal.signal(name, handler)

    def _send(self, number: int, _frame: FrameType | None) -> None:
        self.caught += 1
        for process in self.to:
            if process.poll() is None:
                process.send_signal(number if self.caught < 3 else signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
