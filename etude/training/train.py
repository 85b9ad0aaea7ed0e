"""The training loop: one page, read from top to bottom.

Step is the clock. The batch of a step, its augmentation and its dropout are functions of
(seed, stream, step, index), so a run that was stopped at any step, even by SIGKILL, goes on from its
newest checkpoint to bit-equal weights on the CPU.

Several ranks each run this loop. They do the same in step, each on its share of the data; whatever only one may do,
the first one does. ``ranks`` is where they agree, and does nothing for a process alone.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.config import RunConfig
from etude.training.alarms import Alarms
from etude.training.cadence import is_due, is_finished
from etude.training.checkpoint import Checkpoints
from etude.training.evaluate import evaluate, play_samples
from etude.training.memory import kept_memory
from etude.training.opening import opened_run
from etude.training.patience import has_stalled
from etude.training.profile import Observer
from etude.training.signals import Signals
from etude.training.state import TrainState
from etude.training.step import build_parts, take_step


@dataclass(frozen=True)
class Trained:
    """What a training came to: the run, where it lies, its newest validation numbers, the signal that ended it."""

    run: str
    path: Path
    step: int
    seconds: float
    valid: dict[str, float]
    stopped_by: str | None


def train(
    config: RunConfig,
    *,
    runs_dir: Path | None = None,
    clear: bool = False,
    origin: dict[str, Any] | None = None,
    on_step: Callable[[dict[str, Any]], None] = lambda numbers: None,
    say: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train the model of a configuration, or go on with its run where it stopped.

    Args:
        config: everything that decides the result.
        runs_dir: the folder of runs; by default ``ETUDE_RUNS`` or ``runs``.
        clear: throw an earlier run of the same identity away first.
        origin: what ``open_run`` records of where the configuration came from.
        on_step: called after each step with ``step, seconds, loss, lr, tokens_per_sec``.
        say: called with a line of text now and then.

    Raises:
        EtudeError: whatever a user can mend: data, settings, a run held by another process, a loss that
            is no longer a number.
    """
    budget, machine = config.train, config.train
    with (
        opened_run(config, runs_dir, clear=clear, origin=origin) as opened,
        Signals() as signals,
        Observer(opened.run.path, config, opened.ranks.rank) as observer,
        kept_memory(machine.device == "cpu"),
    ):
        run, config, ranks, facts = opened.run, opened.config, opened.ranks, opened.facts
        if not ranks.is_first:
            say = on_step = _in_silence
        parts = build_parts(config, opened.corpus, opened.tokenizer, say, ranks)
        made_with = {"train.batch_tokens": config.train.batch_tokens}
        checkpoints = Checkpoints(run.path / "checkpoints", parts, made_with=made_with, keep=machine.keep_checkpoints)
        state = checkpoints.load_newest(warn=run.say)
        if state is None:
            state = TrainState()
            run.drop_records_after(-1)
            valid = evaluate(run, parts, state, facts)
            say(f"run {run.id}: step 0, validation {valid['nats_per_token']:.4f} nats a token before training")
        else:
            run.drop_records_after(state.step)
            valid = run.newest("valid")
            say(f"run {run.id}: resumed at step {state.step}")

        alarms = Alarms(run, parts, config, say)
        saved_at, stopped = time.monotonic(), False
        stalled = ranks.first_says(has_stalled(run, budget.patience))
        while not (stalled or is_finished(state.step, state.seconds, budget.num_steps, budget.max_minutes)):
            with observer.step():
                numbers = take_step(parts, config, state)
            alarms.after_step(state, numbers)
            on_step(numbers)
            finished = is_finished(state.step, state.seconds, budget.num_steps, budget.max_minutes)
            if finished or is_due(state.step, machine.log_every_steps):
                run.log("train", state.step, state.take_recent())
            if finished or is_due(state.step, budget.eval_every_steps):
                valid = evaluate(run, parts, state, facts)
                say(f"step {state.step}: validation {valid['nats_per_token']:.4f} nats a token")
                alarms.after_evaluation(state)
                stalled = ranks.first_says(has_stalled(run, budget.patience))
                finished = finished or stalled
            if finished or is_due(state.step, machine.sample_every_steps):
                play_samples(run, parts, state.step, machine.sample_takes)
            minutes = (time.monotonic() - saved_at) / 60
            stopped, minutes = ranks.largest(signals.caught is not None, minutes)
            if finished or stopped or save_is_due(machine, state.step, minutes):
                run.sync()
                checkpoints.save(state)
                saved_at = time.monotonic()
            if stopped:
                break
        checkpoints.wait()
        stopped_by = (signals.caught or "a signal to another rank") if stopped else None
        if stopped:
            run.stop(f"{stopped_by} at step {state.step}")
        else:
            run.finish({"step": state.step, "seconds": state.seconds, "valid": valid})
        return Trained(run.id, run.path, state.step, state.seconds, valid, stopped_by)


def _in_silence(_: Any) -> None:
    """Take what only the first rank tells."""


def save_is_due(machine: Any, step: int, minutes: float) -> bool:
    """Return whether the steps or the minutes since the last checkpoint call for another."""
    every_minutes = machine.checkpoint_every_minutes
    return is_due(step, machine.checkpoint_every_steps) or (every_minutes > 0 and minutes >= every_minutes)
