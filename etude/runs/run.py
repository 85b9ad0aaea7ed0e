"""Open a run's folder for writing: one process at a time, never another run's settings.

    with open_run("runs", config, corpus.digest, tokenizer.hash) as run:
        run.say("hello")                         # a line of logs/rank_0.log
        run.log("train", 10, {"loss": 2.3})      # a record of metrics.jsonl
        run.finish({"step": 10})                 # done.json; or run.stop("why")

A block that is left by an exception marks the run failed, by an interrupt stopped.
"""

import contextlib
import re
import shutil
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from etude.errors import EtudeError, RunError
from etude.files import write_json
from etude.runs.definition import Definition, read_config, write_config
from etude.runs.environment import describe_environment, record_start
from etude.runs.identity import differences, run_id
from etude.runs.lock import Lock
from etude.runs.records import Records, read_records
from etude.runs.status import enter_state, read_status

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]")
DONE_SCHEMA = "etude-run-done"


class Run:
    """One run that this process holds; made by ``open_run``.

    Args:
        path: its folder.
        definition: what it is.
        lock: held until ``close``.
        is_new: whether the folder was made just now.
    """

    def __init__(self, path: Path, definition: Definition, lock: Lock, *, is_new: bool):
        self.path = path
        self.id = definition.id
        self.definition = definition
        self.is_new = is_new
        self._lock = lock
        self._log_path = path / "logs" / "rank_0.log"
        self._log_path.parent.mkdir(exist_ok=True)
        self._records = Records(path / "metrics.jsonl")
        self._step, self._best = 0, None
        self._recall()
        self._ended = False

    def say(self, line: str) -> None:
        """Add a line to the log; colours and other escape codes are taken out."""
        add_line(self._log_path, line)

    def log(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Add a record to ``metrics.jsonl``.

        Args:
            kind: ``train``, ``valid`` or another word; ``valid`` with ``nats_per_token`` also brings the step
                and best value of ``status.json`` up to date.
            step: optimiser steps done.
            values: names to numbers.
        """
        self._records.append(kind, step, values)
        self._remember(kind, step, values)
        if kind == "valid":
            enter_state(self.path, "running", step=self._step, best=self._best)

    def newest(self, kind: str) -> dict[str, Any] | None:
        """Return the values of the newest record of a kind, or None."""
        found = None
        for record in read_records(self.path / "metrics.jsonl", kind=kind):
            found = record
        return found and {name: value for name, value in found.items() if name not in ("step", "kind")}

    def drop_records_after(self, step: int) -> None:
        """Forget records of later steps; -1 forgets all. What follows then equals an uninterrupted run."""
        self._records.drop_after(step)
        self._recall()

    def sync(self) -> None:
        """Return once every record is on the disk; to be called before a checkpoint is trusted."""
        self._records.sync()

    def finish(self, summary: dict[str, Any]) -> None:
        """Mark the run done and write ``done.json``.

        Args:
            summary: what it came to, plain values.
        """
        self._step = summary.get("step", self._step)
        write_json(self.path / "done.json", {"schema": DONE_SCHEMA, "version": 1} | summary)
        self._end("done", "")

    def stop(self, reason: str) -> None:
        """Mark the run stopped; it can go on later."""
        self._end("stopped", reason)

    def fail(self, error: BaseException) -> None:
        """Mark the run failed, with the reason; the traceback goes to the log."""
        reason = str(error) if isinstance(error, EtudeError) else f"{type(error).__name__}: {error}"
        with contextlib.suppress(RunError):  # a full disk may be the very reason
            for line in "".join(traceback.format_exception(error)).splitlines():
                self.say(line)
        self._end("failed", reason.splitlines()[0] if reason else "")

    def close(self) -> None:
        """Give the run back; one that was neither finished nor stopped counts as stopped."""
        try:
            if not self._ended:
                self._end("stopped", "left before its budget was used up")
        finally:
            self._records.close()
            self._lock.release()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        try:
            if isinstance(error, Exception) and not self._ended:
                self.fail(error)
            elif error is not None and not self._ended:
                self.stop(f"interrupted by {type(error).__name__}")
        finally:
            self.close()

    def _end(self, state: str, reason: str) -> None:
        self._ended = True
        with contextlib.suppress(RunError):  # what matters stands in status.json
            self.say(f"{state} at step {self._step}{': ' + reason if reason else ''}")
        self._records.sync()
        enter_state(self.path, state, reason=reason, step=self._step, best=self._best)

    def _recall(self) -> None:
        self._step, self._best = 0, None
        for record in read_records(self.path / "metrics.jsonl"):
            self._remember(record["kind"], record["step"], record)

    def _remember(self, kind: str, step: int, values: dict[str, Any]) -> None:
        self._step = max(self._step, step)
        loss = values.get("nats_per_token")
        if kind == "valid" and isinstance(loss, float) and loss == loss:
            self._best = loss if self._best is None else min(self._best, loss)


def add_line(path: Path, line: str) -> None:
    """Add a line with the time to a log; colours and other escape codes are taken out.

    Raises:
        RunError: the disk is full or gone.
    """
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{now} {_ESCAPES.sub('', line.rstrip())}\n")
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}; free some space") from None


def open_run(
    root: Path | str,
    config: Any,
    corpus_digest: str,
    tokenizer_hash: str,
    *,
    clear: bool = False,
    command: list[str] | None = None,
    recipe: str = "",
    overrides: tuple[str, ...] = (),
    parent: str | None = None,
    expected_id: str | None = None,
) -> Run:
    """Open the run of a configuration, made now or found where it was left.

    Args:
        root: the folder of runs.
        config: a ``RunConfig``; its budget and machine settings may differ from those of the earlier start.
        corpus_digest: digest of the corpus it learns from.
        tokenizer_hash: hash of the tokenizer.
        clear: throw away what an earlier start left; refused like any start while another process holds it.
        command: what was typed, for the record.
        recipe: name of the recipe, for the record.
        overrides: what was changed on the command line, for the record.
        parent: id of the run that this one is forked from.
        expected_id: the run that it must be, when one goes on with a stored run.

    Raises:
        RunError: another process holds it, or it was started with other settings or other data.
    """
    root, new_id = Path(root), run_id(config, corpus_digest, tokenizer_hash)
    definition = Definition(new_id, corpus_digest, tokenizer_hash, config.plain(), recipe, tuple(overrides), parent)
    if expected_id is not None and expected_id != new_id:
        _refuse(read_config(root / expected_id), definition, config, "add --fork to start a new run from it")
    path = root / new_id
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be made: {error.strerror}; name another folder in ETUDE_RUNS") from None
    lock = Lock(path / "lock", what=f"run {new_id}")
    try:
        if clear:
            _clear(path)
        changed, is_new = _settle_definition(path, definition, config)
        facts = describe_environment(device=getattr(config.train, "device", ""), command=command)
        changed += record_start(path, facts)
        run = Run(path, read_config(path), lock, is_new=is_new)
        (path / "done.json").unlink(missing_ok=True)
        if read_status(path)["state"] == "running":  # and yet the lock was free
            enter_state(path, "stopped", reason="its process was gone")
        enter_state(path, "running")
        run.say(f"{'started' if is_new else 'resumed'} by process {facts['pid']} on {facts['host']}")
        for line in changed:
            run.say(f"since the last start: {line}")
    except BaseException:
        lock.release()
        raise
    return run


def _settle_definition(path: Path, definition: Definition, config: Any) -> tuple[list[str], bool]:
    """Write the definition of a new run, or hold it against the stored one.

    Returns:
        What changed since, and whether the run is new.
    """
    is_new = not (path / "config.json").exists()
    changed = []
    if is_new:
        write_config(path, definition)
    else:
        stored = read_config(path)
        found = differences(stored.settings, config)
        same_data = (stored.corpus, stored.tokenizer) == (definition.corpus, definition.tokenizer)
        if not same_data or any(difference.kind == "identity" for difference in found):
            _refuse(stored, definition, config, "its config.json was changed by hand; undo that, or add --clear")
        changed = [str(difference) for difference in found]
        if found:
            # where a run came from is told by its first start
            origin = {"recipe": stored.recipe, "overrides": stored.overrides, "parent": stored.parent}
            write_config(path, replace(definition, **origin))
    if not (path / "status.json").exists():
        enter_state(path, "created")
    return changed, is_new


def _refuse(stored: Definition, definition: Definition, config: Any, advice: str) -> None:
    found = differences(stored.settings, config)
    reasons = [str(difference) for difference in found if difference.kind == "identity"]
    for name in ("corpus", "tokenizer"):
        before, now = getattr(stored, name), getattr(definition, name)
        if before != now:
            reasons.append(f"the {name} is {before} in the run and {now} now")
    what = "; ".join(reasons) or "its settings mean something else in this version"
    raise RunError(f"run {stored.id}: started with other settings: {what}; {advice}")


def _clear(path: Path) -> None:
    for entry in path.iterdir():
        if entry.name == "lock":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
