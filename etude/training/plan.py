"""What a training will take, said before anything is allocated; and how long a step really takes."""

import statistics
import time
from typing import Any

import torch

from etude.config import RunConfig
from etude.data.builtin import open_corpus
from etude.data.corpus import Corpus
from etude.models.sizes import flops_per_token, num_parameters, step_memory_bytes
from etude.runs.find import runs_root
from etude.runs.identity import run_id
from etude.tokens import tokenizer_of
from etude.training.cadence import micro_rows
from etude.training.checkpoint import TrainState
from etude.training.precision import resolve_precision
from etude.training.step import build_parts, take_step

_SIDE = 1024  # of the square matrices that a device is timed with
_SHARE_OF_PRODUCTS = 0.5  # what a training step reaches of the speed of its matrix products, roughly
_TIMED_STEPS = 4


def plan_training(config: RunConfig) -> dict[str, Any]:
    """Return what a run will take.

    Returns:
        ``run, path, parameters, memory_bytes, disk_bytes, step_seconds, tokens_per_sec, num_steps, hours,
        device, precision``. Times are an estimate from the speed of one matrix product on the device.
    """
    corpus = open_corpus(config.data.corpus)
    tokenizer = tokenizer_of(config.data.tokenizer)
    device = torch.device(config.train.device)
    precision = resolve_precision(config.train.precision, device)
    parameters = num_parameters(config.model, tokenizer.vocab_size)
    rows = config.train.batch_tokens // config.model.ctx_len
    micro = micro_rows(rows, config.model.ctx_len, config.train.micro_batch_tokens)
    step_seconds = (
        config.train.batch_tokens
        * flops_per_token(config.model, tokenizer.vocab_size)
        / (_SHARE_OF_PRODUCTS * _product_flops_per_sec(device, precision))
    )
    run = run_id(config, corpus.digest, tokenizer.hash)
    # weights, and two moments, in float32, for each checkpoint; weights again for the two best models
    disk_bytes = 4 * parameters * (3 * (config.train.keep_checkpoints + 1) + 2)
    return {
        "run": run,
        "path": str(runs_root() / run),
        "parameters": parameters,
        "memory_bytes": step_memory_bytes(config.model, tokenizer.vocab_size, micro, precision),
        "disk_bytes": disk_bytes,
        "step_seconds": round(step_seconds, 4),
        "tokens_per_sec": round(config.train.batch_tokens / step_seconds, 1),
        "num_steps": config.train.num_steps,
        "hours": round(config.train.num_steps * step_seconds / 3600, 3),
        "device": str(device),
        "precision": precision,
    }


def seconds_per_step(config: RunConfig, corpus: Corpus) -> float:
    """Return the median time of a few training steps on a model that is thrown away; the first does not count."""
    parts = build_parts(config, corpus, tokenizer_of(config.data.tokenizer), say=lambda line: None)
    state, times = TrainState(), []
    for _ in range(1 + _TIMED_STEPS):
        started = time.perf_counter()
        take_step(parts, config, state)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def _product_flops_per_sec(device: torch.device, precision: str) -> float:
    """Return the speed of one large matrix product, the best of three."""
    left, right = (torch.ones(_SIDE, _SIDE, device=device, dtype=getattr(torch, precision)) for _ in range(2))
    best = float("inf")
    for _ in range(4):
        started = time.perf_counter()
        (left @ right).sum().item()
        best = min(best, time.perf_counter() - started)
    return 2 * _SIDE**3 / best
