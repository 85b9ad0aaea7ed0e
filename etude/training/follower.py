"""A run as every rank but the first sees it: read, and written about in a log of its own, never written."""

import contextlib
import traceback
from pathlib import Path
from typing import Any

from etude.errors import RunError
from etude.runs.definition import read_config
from etude.runs.identity import run_id
from etude.runs.lock import holder
from etude.runs.run import add_line


class FollowedRun:
    """Has what the loop asks of a ``Run``; what only one rank may do, it leaves undone.

    Args:
        path: the run's folder.
        rank: whose log is written.

    Attributes:
        id: the run's.
    """

    def __init__(self, path: Path, rank: int):
        self.path = path
        self.id = read_config(path).id
        self._log_path = path / "logs" / f"rank_{rank}.log"

    def say(self, line: str) -> None:
        """Add a line to ``logs/rank_<k>.log``."""
        add_line(self._log_path, line)

    def newest(self, kind: str) -> dict[str, Any]:
        """Return nothing: the first rank reports."""
        return {}

    def log(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Leave records to the first rank."""

    def drop_records_after(self, step: int) -> None:
        """Leave records to the first rank."""

    def sync(self) -> None:
        """Leave records to the first rank."""

    def finish(self, summary: dict[str, Any]) -> None:
        """Leave the run's state to the first rank."""
        self.say(f"done at step {summary['step']}")

    def stop(self, reason: str) -> None:
        """Leave the run's state to the first rank."""
        self.say(f"stopped: {reason}")

    def __enter__(self) -> "FollowedRun":
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            with contextlib.suppress(RunError):
                for line in "".join(traceback.format_exception(error)).splitlines():
                    self.say(line)


def follow_run(root: Path, config: Any, corpus_digest: str, tokenizer_hash: str, rank: int) -> FollowedRun:
    """Return the run that the first rank has opened.

    Args:
        root: the folder of runs, the same as the first rank's.
        config: the configuration, the same as the first rank's.
        corpus_digest: of the corpus that this rank sees.
        tokenizer_hash: of the tokenizer that this rank makes.
        rank: of this process, 1 or more.

    Raises:
        RunError: the run is not there or nobody has it open: other settings, another corpus, another folder.
    """
    path = root / run_id(config, corpus_digest, tokenizer_hash)
    if not (path / "config.json").is_file() or holder(path / "lock") is None:
        raise RunError(
            f"{path}: rank {rank} finds no open run there; all ranks need the same settings, the same corpus "
            "and the same folder of runs"
        )
    run = FollowedRun(path, rank)
    run.say(f"rank {rank} follows run {run.id}")
    return run
