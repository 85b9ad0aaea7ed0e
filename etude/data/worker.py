"""A worker process: answers requests on its standard input until it is closed.

Frames are a kind of one byte, a length of 8 bytes and that many bytes:

    request   "*"  once, first: a JSON object of ``options``, ``limit_sec`` and ``memory_mb``
              "?"  a JSON list of items
    answers   "+"  ready for requests
              "."  the next item is begun
              "="  the result for all items of the request
              "m"  not enough memory; the process ends
              "e"  an error that a user can act on, as text
              "!"  what went wrong, as text; the fault of the program, not of an item

Items that bring the process down, or make it hang, are told by the last "." before. Whatever libraries print
goes nowhere. A process whose owner is gone ends by itself: at once when it waits for requests, else soon after
the time for an item is over.
"""

import contextlib
import errno
import importlib
import json
import os
import resource
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from etude.data.memory import limit_memory
from etude.errors import EtudeError

HEAD = struct.Struct(">cQ")
"""What a frame begins with: kind and length."""


def write_frame(stream: BinaryIO, kind: bytes, content: bytes = b"") -> None:
    """Write one frame and flush."""
    stream.write(HEAD.pack(kind, len(content)))
    stream.write(content)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Read one frame.

    Raises:
        EOFError: the stream ended.
    """
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        raise EOFError
    kind, length = HEAD.unpack(head)
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return kind, content


def resolve(call: str) -> Callable:
    """Return the function that ``module:function`` names."""
    module, name = call.split(":")
    return getattr(importlib.import_module(module), name)


def main(call: str) -> None:
    """Serve what ``call`` names, see ``run_in_order``."""
    answers = os.fdopen(os.dup(1), "wb")
    # what a library prints must not end up among the frames
    os.dup2(2, 1)
    _be_expendable()
    try:
        _serve(call, sys.stdin.buffer, answers)
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:
        # without a limit again: even saying so takes some memory
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        with contextlib.suppress(BrokenPipeError):
            write_frame(answers, *_explained(error))


def _explained(error: Exception) -> tuple[bytes, bytes]:
    if lacks_memory(error):
        return b"m", b""
    if isinstance(error, EtudeError):
        return b"e", str(error).encode("utf-8", "backslashreplace")
    return b"!", traceback.format_exc().encode("utf-8", "backslashreplace")


def lacks_memory(error: BaseException | None) -> bool:
    """Say whether an exception, or one that it came from, tells of missing memory."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        error = error.__cause__ or error.__context__
    return False


def _serve(call: str, requests: BinaryIO, answers: BinaryIO) -> None:
    order = json.loads(read_frame(requests)[1])
    function = _made(call, order["options"])
    limit_memory(order["memory_mb"])
    # later than the owner's own clock: this one is for when there is no owner any more
    at_most_sec = 2 * order["limit_sec"] + 1

    def begin() -> None:
        signal.setitimer(signal.ITIMER_REAL, at_most_sec)
        write_frame(answers, b".")

    write_frame(answers, b"+")
    while True:
        _, content = read_frame(requests)
        result = function(json.loads(content), begin)
        signal.setitimer(signal.ITIMER_REAL, 0)
        write_frame(answers, b"=", result)
        # held while the next request is read, it would count against its items
        del result


def _made(call: str, options: dict[str, Any] | None) -> Callable:
    return resolve(call) if options is None else resolve(call)(**options)


def _be_expendable() -> None:
    # an interrupt reaches workers too where they share a terminal; whoever started them decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # the picture of a crashed process is as large as its memory, and nobody looks at it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # when a machine runs out of memory Linux ends one process: rather this one than its owner
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")


if __name__ == "__main__":
    main(sys.argv[1])
