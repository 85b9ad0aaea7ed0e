"""Memory that a step frees and the next step takes again.

glibc gives large pieces back to the system when they are freed, and the system then has to find, clear and map every
page of them anew: on a CPU an eighth of a training step. While a model is trained it keeps them; the most that a
process holds at a time stays the same.
"""

import contextlib
import ctypes
import platform
from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, malloc.h
_USUAL_BYTES = 128 * 1024  # of both, mallopt(3)
_KEPT_BYTES = 2**30


@contextlib.contextmanager
def kept_memory(is_wanted: bool = True) -> Iterator[None]:
    """Let freed memory stay with the process for a while, and give it back at the end; only glibc can be asked."""
    libc = _glibc() if is_wanted else None
    if libc is None:
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
    libc.mallopt(_TRIM_THRESHOLD, 2 * _KEPT_BYTES - 1)
    try:
        yield
    finally:
        libc.mallopt(_TRIM_THRESHOLD, _USUAL_BYTES)
        libc.mallopt(_MMAP_THRESHOLD, _USUAL_BYTES)
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
    except OSError:
        return None
