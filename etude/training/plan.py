"""What a training will take, said before anything of its size is allocated; and how long a step really takes."""

import statistics
import time
from typing import Any

import torch

from etude.config import RunConfig
from etude.data.builtin import open_corpus
from etude.data.corpus import Corpus
from etude.models.sizes import flops_per_token, num_parameters, step_memory
from etude.runs.find import runs_root
from etude.runs.identity import run_id
from etude.tokens import tokenizer_of
from etude.training.memory import kept_memory
from etude.training.micro_batch import rows_at_once
from etude.training.precision import resolve_precision
from etude.training.probe import probed_step_seconds
from etude.training.start import pin_start
from etude.training.state import TrainState
from etude.training.step import build_parts, take_step

_TIMED_STEPS = 4


def plan_training(config: RunConfig) -> dict[str, Any]:
    """Return what a run will take on one device.

    Returns:
        ``run, path, parameters, flops_per_token, memory_bytes`` (at the peak of a step; the interpreter and the
        libraries have some 0.5 GB besides), ``memory`` (its parts), ``disk_bytes, micro_batch_tokens, step_seconds,
        tokens_per_sec, num_steps, hours, device, precision``. Times are those of a few real steps of a model of the
        same width with one layer and with two, stretched to its layers and its batch.
    """
    config = pin_start(config)
    corpus = open_corpus(config.data.corpus)
    tokenizer = tokenizer_of(config.data.tokenizer)
    device = torch.device(config.train.device)
    precision = resolve_precision(config.train.precision, device)
    rows, ctx_len = config.train.batch_tokens // config.model.ctx_len, config.model.ctx_len
    micro = rows_at_once(config, tokenizer.vocab_size, rows, device, precision)
    step_seconds = probed_step_seconds(config, tokenizer.vocab_size, micro, rows // micro, device, precision)
    parameters = num_parameters(config.model, tokenizer.vocab_size)
    recompute, optimizer = config.train.recompute_activations, config.optim.kind
    memory = step_memory(config.model, tokenizer.vocab_size, micro, precision, recompute=recompute, optimizer=optimizer)
    run = run_id(config, corpus.digest, tokenizer.hash)
    # weights, and what the optimiser remembers, for each checkpoint; weights again for the two best models
    checkpoint = memory["weights"] + memory["optimizer"]
    return {
        "run": run,
        "path": str(runs_root() / run),
        "parameters": parameters,
        "flops_per_token": flops_per_token(config.model, tokenizer.vocab_size),
        "memory_bytes": sum(memory.values()),
        "memory": memory,
        "disk_bytes": checkpoint * (config.train.keep_checkpoints + 1) + 2 * memory["weights"],
        "micro_batch_tokens": micro * ctx_len,
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
    with kept_memory(config.train.device == "cpu"):
        for _ in range(1 + _TIMED_STEPS):
            started = time.perf_counter()
            take_step(parts, config, state)
            times.append(time.perf_counter() - started)
    return statistics.median(times[1:])
