"""Where a run stands: a small state machine in ``status.json``.

    created → running → stopped | failed | done        and from each of these three back to running

A process that was killed leaves ``running`` behind; without a live lock that reads as ``stopped``.
"""

import json
import time
from pathlib import Path
from typing import Any

from etude.errors import RunError
from etude.files import write_json
from etude.runs.lock import holder

SCHEMA = "etude-run-status"
VERSION = 1
_NEXT = {
    None: {"created"},
    "created": {"running"},
    "running": {"stopped", "failed", "done", "running"},
    "stopped": {"running"},
    "failed": {"running"},
    "done": {"running"},
}


def read_status(folder: Path | str) -> dict[str, Any]:
    """Return a run's status: ``state, reason, step, best, time, history``.

    ``best`` is the lowest validation loss so far in nats per token, or None.

    Raises:
        RunError: it is missing or damaged.
    """
    path = Path(folder) / "status.json"
    status = _read(path)
    if status is None:
        raise RunError(f"{path}: missing; expected the folder of a run")
    if status["state"] == "running" and holder(path.with_name("lock")) is None:
        status |= {"state": "stopped", "reason": "its process is gone"}
    return status


def enter_state(folder: Path | str, state: str, *, reason: str = "", **facts: Any) -> dict[str, Any]:
    """Write the next state and return the status.

    Args:
        folder: the run.
        state: the next state.
        reason: one line why, for stopped and failed.
        facts: ``step`` and ``best`` where they changed.

    Raises:
        RunError: there is no way from the present state to that one.
    """
    path = Path(folder) / "status.json"
    before = _read(path) or {"state": None, "step": 0, "best": None, "history": []}
    if state not in _NEXT[before["state"]]:
        raise RunError(f"{path}: a run that is {before['state']} cannot become {state}")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    status = before | {"schema": SCHEMA, "version": VERSION, "state": state, "reason": reason, "time": now} | facts
    if state != before["state"] or reason:
        status["history"] = [*before["history"], {"state": state, "reason": reason, "time": now}]
    write_json(path, status)
    return status


def _read(path: Path) -> dict[str, Any] | None:
    try:
        status = json.loads(path.read_text())
        return status if {"state", "step", "best", "history"} <= set(status) else _damaged(path, "incomplete")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        return _damaged(path, error)


def _damaged(path: Path, why: object) -> None:
    raise RunError(f"{path}: damaged: {why}; remove it, and the next start writes a new one")
