"""``environment.json``: the code, versions and machine of every start of a run.

The facts of the newest start stand at the top, ``starts`` tells of all of them. A start whose code, versions
or device differ from the one before is told, since its numbers may differ too.
"""

import json
import os
import platform
import socket
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from etude.files import write_json

SCHEMA = "etude-run-environment"
VERSION = 1
_PACKAGE = Path(__file__).resolve().parents[1]
_DIFF_CHARS = 200_000
_COMPARED = ("commit", "dirty_diff", "python", "packages", "device", "cpus")


def describe_environment(*, device: str = "", command: list[str] | None = None) -> dict[str, Any]:
    """Return the facts of this process and this machine.

    Args:
        device: what it computes on.
        command: what was typed.
    """
    packages = {dist.metadata["Name"]: dist.version for dist in metadata.distributions()}
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": command,
        "commit": _git("rev-parse", "HEAD") or None,
        "dirty_diff": _git("diff", "HEAD", "--", ".")[:_DIFF_CHARS],
        "python": platform.python_version(),
        "packages": dict(sorted(packages.items())),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "platform": platform.platform(),
        "device": device,
        "cpus": os.cpu_count(),
    }


def record_start(folder: Path | str, facts: dict[str, Any]) -> list[str]:
    """Add a start to a run's ``environment.json``.

    Args:
        folder: the run.
        facts: of ``describe_environment``.

    Returns:
        A line for every fact that changed since the start before.
    """
    before = read_environment(folder)
    start = {name: facts[name] for name in ("time", "command", "commit", "host", "pid", "device")}
    start["changes_not_committed"] = bool(facts["dirty_diff"])
    starts = [*before.get("starts", []), start]
    write_json(Path(folder) / "environment.json", {"schema": SCHEMA, "version": VERSION} | facts | {"starts": starts})
    return _changes(before, facts) if before else []


def read_environment(folder: Path | str) -> dict[str, Any]:
    """Return a run's ``environment.json``, empty if it is missing or damaged: nothing depends on it."""
    try:
        found = json.loads((Path(folder) / "environment.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    lines = []
    for name in _COMPARED:
        was, value = before.get(name), now[name]
        if was == value:
            continue
        if name == "dirty_diff":
            lines.append("the code's changes that are not committed are others than at the last start")
        elif name == "packages":
            names = sorted(set(was or {}) | set(value))
            lines += [
                f"{package} {(was or {}).get(package, 'absent')} is now {value.get(package, 'absent')}"
                for package in names
                if (was or {}).get(package) != value.get(package)
            ]
        else:
            lines.append(f"{name} {was} is now {value}")
    return lines


def _git(*arguments: str) -> str:
    """Ask git about Etude's own folder; nothing if it is not under git's care, or git is missing."""
    try:
        tracked = _run_git("ls-files", "--error-unmatch", "errors.py")
        answer = _run_git(*arguments) if tracked.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer and answer.returncode == 0 else ""


def _run_git(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["git", "-C", str(_PACKAGE), *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        errors="replace",
    )
