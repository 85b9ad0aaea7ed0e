"""One rank of a small training that goes wrong on purpose: ``rank_worker.py CORPUS RUNS SETTINGS FAULT``.

SETTINGS is a JSON object of ``train`` settings. FAULT is empty or ``WHAT@STEP@RANK``; what it can be is below.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from small_runs import small_config  # noqa: E402

from etude.errors import EtudeError  # noqa: E402
from etude.runs.run import add_line  # noqa: E402
from etude.training import checkpoint_shards, step, train  # noqa: E402
from etude.training.train import take_step  # noqa: E402


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise ValueError("the string is out of tune")


def sleep() -> None:
    time.sleep(600)


def skip_weight(parts) -> None:
    """From now on one weight takes no part in the loss on this rank."""
    average = step.average_gradients

    def forget_one(model, ranks):
        model.blocks[0].attention.out.weight.grad = None
        average(model, ranks)

    step.average_gradients = forget_one


def drift(parts) -> None:
    """Change the last bit of one number."""
    with torch.no_grad():
        parts.model.norm.weight.view(torch.int32)[3] += 1


def while_saving(point: str) -> None:
    """Be killed at a point of writing the sharded checkpoint that comes next."""
    writer = checkpoint_shards._Writer
    name = {"before-writing": "write_data", "half-written": "write_data", "before-the-end": "finish"}[point]
    whole = getattr(writer, name)

    def cut_short(self, *arguments, **named):
        if point == "half-written":
            whole(self, *arguments, **named)
            file = next(self._draft.glob("shard-*"))
            file.write_bytes(file.read_bytes()[:100])
        kill()

    setattr(writer, name, cut_short)


def slow_writing(run_path: Path, state) -> None:
    """Take a second over each checkpoint from now on, and say at which step the training was after it."""
    finish = checkpoint_shards._Writer.finish

    def finish_slowly(self, *arguments, **named):
        time.sleep(1.0)
        finish(self, *arguments, **named)
        add_line(run_path / "logs" / "rank_0.log", f"{self._path.name} is written at {state.step}")

    checkpoint_shards._Writer.finish = finish_slowly


def with_fault(what: str, when: int, rank: int):
    def take(parts, config, state):
        if (state.step, parts.ranks.rank) == (when, rank):
            if what in ("kill", "fail", "sleep"):
                {"kill": kill, "fail": fail, "sleep": sleep}[what]()
            elif what in ("skip_weight", "drift"):
                {"skip_weight": skip_weight, "drift": drift}[what](parts)
            elif what == "slow-writing":
                slow_writing(only_run(), state)
            else:
                while_saving(what)
        return take_step(parts, config, state)

    return take


def only_run() -> Path:
    [config] = Path(sys.argv[2]).glob("*/config.json")
    return config.parent


def main(corpus: str, runs: str, settings: str, fault: str) -> int:
    if fault:
        what, when, rank = fault.split("@")
        train.take_step = with_fault(what, int(when), int(rank))
    config = small_config(Path(corpus), **{"sample_takes": 0} | json.loads(settings))
    try:
        done = train.train(config, runs_dir=Path(runs))
    except EtudeError:
        return 1
    return 0 if done.stopped_by is None else 130


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
