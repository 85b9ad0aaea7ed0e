"""A command that is one of several ranks: only the first one speaks, and the command that started them all explains."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

from etude.errors import SettingsError
from etude.launch.ranks import LAUNCHED


def is_first() -> bool:
    """Return whether this process reports: it is alone, or the first of several."""
    return os.environ.get("RANK", "0") == "0"


def is_one_of_several() -> bool:
    """Return whether ``torchrun`` or ``--devices`` started this process."""
    return "RANK" in os.environ


def launch(words: list[str], devices: int) -> None:
    """Run an ``etude`` command on so many devices of this machine.

    Args:
        words: the command, without ``--devices`` and without questions.
        devices: how many processes, 1 or more.

    Raises:
        SettingsError: this process was started as one of several itself.
        RunError: one of them failed.
        KeyboardInterrupt: they were interrupted, and have saved what they had.
    """
    from etude.cli.show import note
    from etude.launch.ranks import INTERRUPTED, run_ranks

    if is_one_of_several():
        raise SettingsError("--devices starts the ranks itself; leave it out under torchrun")
    if run_ranks([sys.executable, "-m", "etude.cli", *words], devices, say=note) == INTERRUPTED:
        raise typer.Exit(INTERRUPTED)  # the first rank has said so


@contextlib.contextmanager
def explained_by_launcher() -> Iterator[None]:
    """End quietly where the command that started the ranks says what went wrong first."""
    try:
        yield
    except Exception:
        if os.environ.get(LAUNCHED) and Path(os.environ.get("TORCHELASTIC_ERROR_FILE", "")).is_file():
            raise typer.Exit(1) from None
        raise
