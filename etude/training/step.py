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
from etude.models import build_model
from etude.models.recompute import recompute_activations
from etude.optim import build_optimizer, learning_rate_at, set_learning_rate
from etude.randomness import seed_of
from etude.tasks import build_task
from etude.training.compiling import compile_model
from etude.training.distributed import ALONE, Ranks
from etude.training.micro_batch import rows_at_once
from etude.training.precision import autocast_for, clip_gradients, loss_scale, resolve_precision, settle_loss_scale
from etude.training.prefetch import Prefetch
from etude.training.spread import average_gradients, spread
from etude.training.start import begin
from etude.training.state import TrainState


@dataclass(frozen=True)
class Parts:
    """What a step works on.

    Args:
        model: the network.
        tokenizer: of the corpus.
        task: gives batches and their loss.
        optimizer: over the model's weights.
        autocast: opens the region of one forward pass.
        device: where the model is.
        precision: of products: float32, bfloat16 or float16.
        batches: this rank's rows of the batch of each step, on the CPU, made ahead.
        rows_at_once: rows of one forward pass.
        ranks: who else trains the model; nobody, of one process.
    """

    model: torch.nn.Module
    tokenizer: Any
    task: Any
    optimizer: torch.optim.Optimizer
    autocast: Callable[[], AbstractContextManager]
    device: torch.device
    precision: str
    batches: Prefetch
    rows_at_once: int
    ranks: Ranks


def build_parts(
    config: RunConfig, corpus: Corpus, tokenizer: Any, say: Callable[[str], None], ranks: Ranks = ALONE
) -> Parts:
    """Build model, task and optimiser as they are before the first step."""
    device = ranks.device(config.train.device)
    share = ranks.share(config.train.batch_tokens // config.model.ctx_len)
    precision = resolve_precision(config.train.precision, device)
    shards = ranks.size if ranks.shard else 1
    at_once = rows_at_once(config, tokenizer.vocab_size, len(share), device, precision, num_shards=shards)
    torch.manual_seed(seed_of(config.train.seed, "init"))
    model = build_model(config.model, tokenizer.vocab_size)
    begin(model, config, tokenizer, say=say)
    spread(model, device, ranks)
    if config.train.recompute_activations:
        recompute_activations(model)
    if config.train.compile:
        compile_model(model, device)
    task = build_task(config, corpus, tokenizer, say=say)

    def load(step: int) -> torch.Tensor:
        batch = task.train_batch(step, share)
        return batch.pin_memory() if device.type == "cuda" else batch

    return Parts(
        model=model,
        tokenizer=tokenizer,
        task=task,
        optimizer=build_optimizer(config.optim, model),
        autocast=autocast_for(precision, device),
        device=device,
        precision=precision,
        batches=Prefetch(load, config.train.prefetch_batches),
        # ranks that gather each other's weights must do so equally often
        rows_at_once=-int(ranks.largest(-at_once)[0]),
        ranks=ranks,
    )


def take_step(parts: Parts, config: RunConfig, state: TrainState) -> dict[str, Any]:
    """Do one optimiser step on the batch that belongs to ``state.step``; count it.

    A step whose loss or gradient is not finite changes no weight: it is counted as skipped.

    Returns:
        ``step, seconds, loss, lr, tokens_per_sec`` for a progress bar, ``grad_norm``; ``skipped`` is empty, or
        ``overflow`` when float16's loss scale was too large, or ``not finite``.
    """
    started = time.monotonic()
    lr = learning_rate_at(config.optim, state.step + 1)
    set_learning_rate(parts.optimizer, lr)
    batch = parts.batches.at(state.step)
    waited = time.monotonic() - started
    ranks, rows = parts.ranks, len(batch)
    size = parts.rows_at_once
    scale = loss_scale(parts.precision, state)
    losses, counts = [], []
    for first in range(0, rows, size):
        torch.manual_seed(seed_of(config.train.seed, "dropout", state.step, ranks.rank * rows + first))
        with parts.autocast():
            loss = parts.task.loss(parts.model, batch[first : first + size].to(parts.device, non_blocking=True))
        (loss.nats * (size / rows * scale)).backward()
        losses.append(loss.nats.detach())
        counts.append(loss.num_correct)
    average_gradients(parts.model, ranks)
    norm = clip_gradients(list(parts.model.parameters()), config.optim.clip_norm, scale=scale)
    # the one place where the CPU waits for the device
    *losses, norm = torch.stack([*losses, norm]).tolist()
    nats = sum(one * size / rows for one in losses)
    nats, correct = ranks.total(nats / ranks.size, int(sum(counts)))
    is_finite = math.isfinite(norm + nats)
    is_overflow = settle_loss_scale(parts.precision, state, is_finite=is_finite)
    if is_finite:
        parts.optimizer.step()
    parts.optimizer.zero_grad(set_to_none=True)
    targets = ranks.size * rows * config.model.ctx_len
    seconds, waited = ranks.largest(time.monotonic() - started, waited)
    if is_finite:
        state.count(nats, int(correct), targets, seconds, lr, norm, waited)
    else:
        state.count_skipped(seconds, lr)
    return {
        "step": state.step,
        "seconds": state.seconds,
        "loss": nats,
        "lr": lr,
        "tokens_per_sec": targets / seconds,
        "grad_norm": norm,
        "skipped": "" if is_finite else "overflow" if is_overflow else "not finite",
    }
