"""What a step works on, and one optimiser step on the batch that belongs to it."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from etude.config import RunConfig
from etude.data.corpus import Corpus
from etude.errors import RunError
from etude.models import build_model
from etude.optim import build_optimizer, learning_rate_at
from etude.randomness import seed_of
from etude.tasks import build_task
from etude.training.cadence import micro_rows
from etude.training.checkpoint import TrainState
from etude.training.precision import autocast_for, resolve_precision


@dataclass(frozen=True)
class Parts:
    """What a step works on."""

    model: torch.nn.Module
    tokenizer: Any
    task: Any
    optimizer: torch.optim.Optimizer
    autocast: Callable[[], AbstractContextManager]
    device: torch.device


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
