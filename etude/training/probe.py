"""How long a training step takes, found out by a few steps of a model that is as wide and one or two layers deep.

A step is micro-batches and an update. Both grow by a constant with every layer, so two depths say what any depth takes:
the time of one layer, and of all that is no layer. Batches are random ids, on a CPU a few rows of them at most.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from etude.config import RunConfig
from etude.models import build_model
from etude.models.recompute import recompute_activations
from etude.optim import build_optimizer
from etude.training.compiling import compile_model
from etude.training.memory import kept_memory
from etude.training.precision import autocast_for, clip_gradients

_ROUNDS = 4
_CPU_TOKENS = 8192
"""Tokens of a probe on a CPU, where time grows evenly with them; an accelerator gets the whole micro-batch."""


def probed_step_seconds(
    config: RunConfig, vocab_size: int, rows: int, times: int, device: torch.device, precision: str
) -> float:
    """Return the seconds of a step, about.

    Args:
        config: model, optimiser, and how they run.
        vocab_size: number of token ids.
        rows: of one micro-batch.
        times: micro-batches of a step.
        device: where it will run.
        precision: of products: float32, bfloat16 or float16.
    """
    most = max(1, _CPU_TOKENS // config.model.ctx_len)
    probed_rows = min(rows, most) if device.type == "cpu" else rows
    depth = getattr(config.model, "num_layers", 1)
    probes = [
        _probe(_of_depth(config, num_layers), vocab_size, probed_rows, device, precision)
        for num_layers in range(1, 1 + min(2, depth))
    ]
    with kept_memory(device.type == "cpu"):
        # each in turn, so that a busy machine slows all alike
        rounds = [[[_seconds(work, device) for work in probe] for probe in probes] for _ in range(1 + _ROUNDS)]
    micro_batch, update = (
        _at_depth([statistics.median(one[place][part] for one in rounds[1:]) for place in range(len(probes))], depth)
        for part in (0, 1)
    )
    return times * rows / probed_rows * micro_batch + update


def _of_depth(config: RunConfig, num_layers: int) -> RunConfig:
    has_layers = hasattr(config.model, "num_layers")
    return config.replace(model=config.model.replace(num_layers=num_layers)) if has_layers else config


def _at_depth(seconds: list[float], depth: int) -> float:
    """Return the seconds at a depth from those at one layer, and at two."""
    one, two = seconds[0], seconds[-1]
    return one + (depth - 1) * max(two - one, 0.0)


def _probe(
    config: RunConfig, vocab_size: int, rows: int, device: torch.device, precision: str
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what does a micro-batch, and what does an update after it."""
    with torch.random.fork_rng(devices=[]):
        model = build_model(config.model, vocab_size).to(device)
        ids_BT = torch.randint(vocab_size, (rows, config.model.ctx_len + 1)).to(device)
    if config.train.recompute_activations:
        recompute_activations(model)
    if config.train.compile:
        compile_model(model, device)
    optimizer, autocast = build_optimizer(config.optim, model), autocast_for(precision, device)

    def micro_batch() -> None:
        with autocast():
            nats = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0]
        nats.backward()

    def update() -> None:
        clip_gradients(list(model.parameters()), config.optim.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return micro_batch, update


def _seconds(work: Callable[[], Any], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()
    return time.perf_counter() - started
