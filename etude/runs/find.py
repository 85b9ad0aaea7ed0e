"""Find runs again, reading small files only.

``ETUDE_RUNS`` names the folder of runs; without it they are in ``runs/`` of the current folder.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from etude.errors import RunError
from etude.runs.definition import read_config
from etude.runs.identity import short_ids
from etude.runs.status import read_status

_NAMED = 6


@dataclass(frozen=True)
class RunSummary:
    """What a list of runs says of one.

    Args:
        run: its id, 16 hex digits.
        recipe: the recipe it began with, empty if none.
        label: what tells it from its repetitions, often empty.
        state: created, running, stopped, failed or done.
        reason: why it stopped or failed.
        step: the newest step of its records.
        best: lowest validation loss, nats per token; None before the first evaluation.
        time: when the state last changed, UTC.
        path: its folder.
    """

    run: str
    recipe: str
    label: str
    state: str
    reason: str
    step: int
    best: float | None
    time: str
    path: Path


def runs_root() -> Path:
    """Return the folder of runs."""
    return Path(os.environ.get("ETUDE_RUNS") or "runs")


def summarize(path: Path | str) -> RunSummary:
    """Return the summary of one run's folder.

    Raises:
        RunError: it is not a run, or damaged.
    """
    path = Path(path)
    definition, status = read_config(path), read_status(path)
    return RunSummary(
        run=definition.id,
        recipe=definition.recipe,
        label=definition.settings.get("label", ""),
        state=status["state"],
        reason=status["reason"],
        step=status["step"],
        best=status["best"],
        time=status["time"],
        path=path,
    )


def list_runs(root: Path | str | None = None) -> list[RunSummary]:
    """Return every run of a folder, the one that changed last first; damaged folders are passed over.

    Args:
        root: the folder of runs; None for ``runs_root()``.
    """
    root = runs_root() if root is None else Path(root)
    found = []
    for config in root.glob("*/config.json"):
        try:
            found.append(summarize(config.parent))
        except RunError:
            continue
    return sorted(found, key=lambda run: (run.time, run.run), reverse=True)


def find_run(name: str, root: Path | str | None = None) -> RunSummary:
    """Find one run.

    Args:
        name: its folder, its id, or the beginning of its id that no other run shares.
        root: the folder of runs; None for ``runs_root()``.

    Raises:
        RunError: none or several begin so.
    """
    root = runs_root() if root is None else Path(root)
    if (Path(name) / "config.json").is_file():
        return summarize(name)
    ids = [config.parent.name for config in root.glob("*/config.json")]
    matching = sorted(run for run in ids if name and run.startswith(name))
    if len(matching) == 1:
        return summarize(root / matching[0])
    if not matching:
        raise RunError(f"{name!r}: no run in {root} begins so; `etude runs` lists them")
    short = short_ids(ids)
    names = ", ".join(short[run] for run in matching[:_NAMED]) + (", …" if len(matching) > _NAMED else "")
    raise RunError(f"{name!r}: {len(matching)} runs in {root} begin so: {names}; give more of the id")


def children_of(run: RunSummary) -> list[str]:
    """Return the ids of the runs beside a run that were forked from it or fine-tuned from its weights, in order."""
    found = []
    for config in run.path.parent.glob("*/config.json"):
        try:
            child = read_config(config.parent)
        except RunError:
            continue
        if child.parent == run.run:
            found.append(child.id)
    return sorted(found)
