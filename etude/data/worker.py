"""A worker process: answers requests on its standard input until it is closed.

Frames are a kind of one byte, a length of 8 bytes and that many bytes:

    request   "?"  a JSON list of items
    answers   "+"  ready for requests
              "."  the next item is begun
              "="  the result for all items of the request
              "!"  what went wrong, as text; the fault of the program, not of an item

Items that bring the process down, or make it hang, are told by the last "." before.
"""

import importlib
import json
import os
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from typing import BinaryIO

_HEAD = struct.Struct(">cQ")


def write_frame(stream: BinaryIO, kind: bytes, content: bytes = b"") -> None:
    """Write one frame and flush."""
    stream.write(_HEAD.pack(kind, len(content)))
    stream.write(content)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Read one frame.

    Raises:
        EOFError: the stream ended.
    """
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError
    kind, length = _HEAD.unpack(head)
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return kind, content


def resolve(call: str) -> Callable:
    """Return the function that ``module:function`` names."""
    module, name = call.split(":")
    return getattr(importlib.import_module(module), name)


def main(call: str) -> None:
    """Serve ``call(items, begin) -> bytes``, which calls ``begin()`` before each item."""
    # the terminal sends an interrupt to workers too; whoever started them decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    # what a library prints must not end up among the frames
    os.dup2(2, 1)
    try:
        function = resolve(call)
        write_frame(answers, b"+")
        while True:
            try:
                _, content = read_frame(sys.stdin.buffer)
            except EOFError:
                return
            result = function(json.loads(content), lambda: write_frame(answers, b"."))
            write_frame(answers, b"=", result)
    except BrokenPipeError:
        return
    except Exception:
        write_frame(answers, b"!", traceback.format_exc().encode())


if __name__ == "__main__":
    main(sys.argv[1])
