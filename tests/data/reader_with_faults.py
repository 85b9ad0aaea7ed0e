"""A function for worker processes that does, for each item, what its first word says; for tests of them."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from etude.errors import MidiError

SLEEP_SEC = 60


class Doomed:
    """A function that cannot be made: the process ends as it is told."""

    def __init__(self, *, by, path, times):
        with open(path, "a") as file:  # noqa: PTH123  appends
            file.write("x")
        if Path(path).stat().st_size <= times:
            os.kill(os.getpid(), by)

    def __call__(self, items, begin):
        return read(items, begin)


class Reader:
    """What ``run_in_order`` makes once in each process when there are options."""

    def __init__(self, *, mark, times=1):
        self.mark, self.times = mark, times
        self.seen = 0

    def __call__(self, items, begin):
        done = []
        for item in items:
            begin()
            self.seen += 1
            done.append(f"{self.mark}{item * self.times} {self.seen > 1}")
        return json.dumps(done).encode()


def read(items, begin):
    """Answer with the items in capitals, after each has done its worst."""
    done = []
    for item in items:
        begin()
        print("libraries print; this must not end up among the frames")
        word, _, rest = item.partition(" ")
        globals().get(word, lambda rest: None)(rest)
        done.append(item.upper())
    return json.dumps(done).encode()


def crash(rest):
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(rest):
    sys.exit(int(rest))


def abort(rest):
    os.abort()


def segfault(rest):
    ctypes.string_at(0)


def overflow(rest):
    """Run out of stack in C, which raises nothing."""
    sys.setrecursionlimit(10**9)
    nested = []
    for _ in range(2 * 10**5):
        nested = [nested]
    repr(nested)


def hang(rest):
    time.sleep(SLEEP_SEC)


def hold(rest):
    """Hang in C, holding the interpreter, where no signal of Python's own comes through."""
    ctypes.PyDLL(None).sleep(SLEEP_SEC)


def slow(rest):
    time.sleep(0.2)


def bug(rest):
    raise KeyError("a bug of the reader")


def refuse(rest):
    raise MidiError(rest)


def flood(rest):
    for _ in range(20):
        os.write(1, bytes(1 << 20))
        sys.stdout.write("x" * (1 << 20))


def babble(rest):
    """Write over the frames, as damaged memory might."""
    for handle in range(3, 20):
        try:
            os.write(handle, bytes.fromhex(rest) * 20)
        except OSError:
            continue


def take(rest):
    """Use so many megabytes, in pieces that no allocator sets aside, and give them back."""
    blocks = [np.ones(1 << 20, "u1") for _ in range(int(rest))]
    assert len(blocks) == int(rest)


def list_of(rest):
    """Use so many megabytes in objects of Python."""
    assert len([str(k) for k in range(int(rest) * 18_000)])


def keep(rest):
    """Use so many megabytes and never give them back."""
    read.kept = [*getattr(read, "kept", []), np.ones(int(rest) << 20, "u1")]


def swallow(rest):
    try:
        take(rest)
    except MemoryError:
        raise ValueError("something else") from None


def family(rest):
    """Die and leave children behind that hold on to everything that was open."""
    subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({SLEEP_SEC})"], close_fds=False)
    child = os.fork()
    if child == 0:
        time.sleep(SLEEP_SEC)
    Path(rest).write_text(str(child))
    os.kill(os.getpid(), signal.SIGSEGV)


def outside(rest):
    """Be killed, as by a system short of memory: always, or the first times; counted in a file."""
    path, _, times = rest.partition(" ")
    with open(path, "a") as file:  # noqa: PTH123  appends
        file.write("x")
    if not times or Path(path).stat().st_size <= int(times):
        os.kill(os.getpid(), signal.SIGKILL)


def tell(rest):
    """Write one's number into a file and hang."""
    Path(rest).write_text(str(os.getpid()))
    hang(rest)
