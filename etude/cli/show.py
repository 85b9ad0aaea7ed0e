"""What commands print: one JSON document or lines on standard output, all else on standard error."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def report(document: dict[str, Any], *, as_json: bool, lines: list[str]) -> None:
    """Print the result of a command: a JSON document, or lines for a person."""
    print(json.dumps(document, ensure_ascii=False, allow_nan=False) if as_json else "\n".join(lines))


def note(line: str) -> None:
    """Print a line that is not the result, on standard error; of several ranks only the first one speaks."""
    if os.environ.get("RANK", "0") == "0":
        print(f"etude: {line}", file=sys.stderr)


def take_row(take: Any, midi_path: Path, recipe_path: Path) -> dict[str, Any]:
    """Return what ``--json`` says of a saved take."""
    return {
        "midi": str(midi_path),
        "recipe": str(recipe_path),
        "seed": take.recipe["seed"],
        "notes": len(take.score.notes),
        "seconds": round(take.score.duration_sec, 3),
    }


def take_line(row: dict[str, Any]) -> str:
    """Return what a person reads of a saved take."""
    return f"{row['midi']}  {row['notes']} notes, {row['seconds']:.1f} s, seed {row['seed']}"


@contextlib.contextmanager
def progress_bar(label: str, *, total: float | None, unit: str) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on standard error; yield a function that takes the amount done.

    Nothing is drawn when standard error is not a terminal.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} " + unit if total else "{task.completed:,.0f} " + unit),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total, detail="")

        def advance_to(done: float, detail: str = "", total: float | None = None) -> None:
            bar.update(task, completed=done, detail=detail, **({} if total is None else {"total": total}))

        yield advance_to
