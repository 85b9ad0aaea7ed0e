"""The training loop: one page, read from top to bottom.

Step is the clock. The batch of a step, its augmentation and its dropout are functions of
(seed, stream, step, index), so a run that was stopped at any step, even by SIGKILL, goes on from its
newest checkpoint to bit-equal weights on the CPU.
"""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from etude.config import RunConfig
from etude.data.builtin import open_corpus
from etude.data.corpus import Corpus
from etude.errors import RunError
from etude.models import build_model
from etude.optim import build_optimizer, learning_rate_at
from etude.randomness import seed_of
from etude.runs.find import runs_root
from etude.runs.run import open_run
from etude.tasks import build_task
from etude.tokens import tokenizer_of
from etude.training.cadence import is_due, is_finished, micro_rows
from etude.training.checkpoint import TrainState, load_newest, save_checkpoint
from etude.training.evaluate import evaluate, play_samples
from etude.training.precision import autocast_for, resolve_precision
from etude.training.signals import Signals


@dataclass(frozen=True)
class Parts:
    """What a step works on."""

    model: torch.nn.Module
    tokenizer: Any
    task: Any
    optimizer: torch.optim.Optimizer
    autocast: Callable[[], AbstractContextManager]
    device: torch.device


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


def build_parts(config: RunConfig, corpus: Corpus, tokenizer: Any, say: Callable[[str], None]) -> Parts:
    """Build model, task and optimiser as they are before the first step."""
    device = torch.device(config.train.device)
    torch.manual_seed(seed_of(config.train.seed, "init"))
    model = build_model(config.model, tokenizer.vocab_size).to(device)
    task = build_task(config, corpus, tokenizer, say=say)
    optimizer = build_optimizer(config.optim, model)
    precision = resolve_precision(config.train.precision, device)
    return Parts(model, tokenizer, task, optimizer, autocast_for(precision, device), device)


def take_step(parts: Parts, config: RunConfig, state: TrainState) -> dict[str, Any]:
    """Do one optimiser step on the batch that belongs to ``state.step``; count it.

    Returns:
        ``step, seconds, loss, lr, tokens_per_sec`` for a progress bar.

    Raises:
        RunError: the loss or a gradient is not a number.
    """
    started = time.monotonic()
    lr = learning_rate_at(config.optim, state.step + 1)
    for group in parts.optimizer.param_groups:
        group["lr"] = lr
    batch = parts.task.train_batch(state.step)
    rows = len(batch)
    size = micro_rows(rows, config.model.ctx_len, config.train.micro_batch_tokens)
    nats, correct = 0.0, 0
    for first in range(0, rows, size):
        torch.manual_seed(seed_of(config.train.seed, "dropout", state.step, first))
        with parts.autocast():
            loss = parts.task.loss(parts.model, batch[first : first + size].to(parts.device))
        (loss.nats * (size / rows)).backward()
        nats += float(loss.nats.detach()) * size / rows
        correct += int(loss.num_correct)
    norm = float(torch.nn.utils.clip_grad_norm_(parts.model.parameters(), config.optim.clip_norm or math.inf))
    if not math.isfinite(norm + nats):
        raise RunError(
            f"step {state.step}: loss {nats}, gradient norm {norm}: not a number; the last checkpoint is whole; "
            "lower optim.peak_lr or set train.precision=float32 and train again"
        )
    parts.optimizer.step()
    parts.optimizer.zero_grad(set_to_none=True)
    seconds = time.monotonic() - started
    state.count(nats, correct, rows * config.model.ctx_len, seconds, lr, norm)
    return {
        "step": state.step,
        "seconds": state.seconds,
        "loss": nats,
        "lr": lr,
        "tokens_per_sec": rows * config.model.ctx_len / seconds,
    }


def save_is_due(machine: Any, step: int, minutes: float) -> bool:
    """Return whether the steps or the minutes since the last checkpoint call for another."""
    every_minutes = machine.checkpoint_every_minutes
    return is_due(step, machine.checkpoint_every_steps) or (every_minutes > 0 and minutes >= every_minutes)
