"""Stopping cleanly: the first SIGINT or SIGTERM is noted, the loop saves and ends; a second one interrupts."""

import signal
from types import FrameType


class Signals:
    """Within ``with Signals() as signals``, ``signals.caught`` names the signal that came, or is None.

    Outside the main thread, where Python takes no signals, nothing is ever caught.
    """

    _names = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.caught: str | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Signals":
        try:
            self._previous = {name: signal.signal(name, self._note) for name in self._names}
        except ValueError:
            self._previous = {}
        return self

    def __exit__(self, *_: object) -> None:
        for name, handler in self._previous.items():
            signal.signal(name, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.caught is not None:
            raise KeyboardInterrupt
        self.caught = signal.Signals(number).name
