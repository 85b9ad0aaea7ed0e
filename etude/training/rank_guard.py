"""A rank does not outlive the command that started it."""

import os
import signal
import threading
import time

_SAVING_SEC = 20.0


def end_with_launcher() -> None:
    """If ``etude train --devices`` started this process: save and end as soon as that command is gone.

    The command holds the other end of this process's standard input, and writes nothing into it.
    """
    if os.environ.get("ETUDE_LAUNCHED"):
        threading.Thread(target=_wait_for_end, name="guard", daemon=True).start()


def _wait_for_end() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock the interpreter wants at its end
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_SAVING_SEC)
    os.kill(os.getpid(), signal.SIGKILL)  # stuck in a message to a rank that is gone
