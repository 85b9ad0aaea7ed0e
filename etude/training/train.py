"""The training loop: one page, read from top to bottom.

Step is the clock. The batch of a step, its augmentation and its dropout are functions of
(seed, stream, step, index), so a run that was stopped at any step, even by SIGKILL, goes on from its
newest checkpoint to bit-equal weights on the CPU.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.config import RunConfig
from etude.data.builtin import open_corpus
from etude.runs.find import runs_root
from etude.runs.run import open_run
from etude.tokens import tokenizer_of
from etude.training.cadence import is_due, is_finished
from etude.training.checkpoint import TrainState, load_newest, save_checkpoint
from etude.training.evaluate import evaluate, play_samples
from etude.training.signals import Signals
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
    corpus = open_corpus(config.data.corpus)
    tokenizer = tokenizer_of(config.data.tokenizer)
    root = runs_root() if runs_dir is None else runs_dir
    opened = open_run(root, config, corpus.digest, tokenizer.hash, clear=clear, **(origin or {}))
    with opened as run, Signals() as signals:
        parts = build_parts(config, corpus, tokenizer, say)
        facts = {"run": run.id, "corpus": corpus.digest, "licences": corpus.info["licences"]}
        state = load_newest(run.path / "checkpoints", parts, warn=run.say)
        if state is None:
            state = TrainState()
            run.drop_records_after(-1)
            valid = evaluate(run, parts, state, facts)
            say(f"run {run.id}: step 0, validation {valid['nats_per_token']:.4f} nats a token before training")
        else:
            run.drop_records_after(state.step)
            valid = run.newest("valid")
            say(f"run {run.id}: resumed at step {state.step}")

        saved_at = time.monotonic()
        while not is_finished(state.step, state.seconds, budget.num_steps, budget.max_minutes):
            on_step(take_step(parts, config, state))
            finished = is_finished(state.step, state.seconds, budget.num_steps, budget.max_minutes)
            stopped = signals.caught is not None
            if finished or is_due(state.step, machine.log_every_steps):
                run.log("train", state.step, state.take_recent())
            if finished or is_due(state.step, budget.eval_every_steps):
                valid = evaluate(run, parts, state, facts)
                say(f"step {state.step}: validation {valid['nats_per_token']:.4f} nats a token")
            if finished or is_due(state.step, machine.sample_every_steps):
                play_samples(run, parts, state.step, machine.sample_takes)
            minutes = (time.monotonic() - saved_at) / 60
            if finished or stopped or save_is_due(machine, state.step, minutes):
                run.sync()
                save_checkpoint(run.path / "checkpoints", state, parts, keep=machine.keep_checkpoints)
                saved_at = time.monotonic()
            if stopped:
                run.stop(f"{signals.caught} at step {state.step}")
                break
        else:
            run.finish({"step": state.step, "seconds": state.seconds, "valid": valid})
        return Trained(run.id, run.path, state.step, state.seconds, valid, signals.caught)


def save_is_due(machine: Any, step: int, minutes: float) -> bool:
    """Return whether the steps or the minutes since the last checkpoint call for another."""
    every_minutes = machine.checkpoint_every_minutes
    return is_due(step, machine.checkpoint_every_steps) or (every_minutes > 0 and minutes >= every_minutes)
