"""How much memory a process may take: limited by Linux itself, watched from outside elsewhere."""

import os
import resource
import subprocess
import sys
from pathlib import Path

LIMITED_BY_SYSTEM = sys.platform == "linux"
"""Whether a process can limit itself: elsewhere its owner has to watch."""


def limit_memory(memory_mb: float | None) -> None:
    """Let this process take so much memory more than it has now; an allocation beyond raises MemoryError.

    Memory is what a process may write to and shares with nobody (``RLIMIT_DATA``), so that libraries and
    mapped files do not count. Does nothing where the system has no such limit.

    Args:
        memory_mb: megabytes of 2^20 bytes; None for no limit.
    """
    if memory_mb is None or not LIMITED_BY_SYSTEM:
        return
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    at_most = pages * os.sysconf("SC_PAGE_SIZE") + int(memory_mb * 2**20)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        at_most = min(at_most, hard)
    # the soft limit alone, so that a process that ran into it can lift it and say so
    resource.setrlimit(resource.RLIMIT_DATA, (at_most, hard))


def resident_mb(pid: int) -> float:
    """Return how much memory a process has in use, in megabytes of 2^20 bytes; 0 if it is gone.

    ``ps`` is asked, which every system has and no library is needed for.
    """
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return float(done.stdout.strip() or 0) / 1024
