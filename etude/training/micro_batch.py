"""How many rows go through the model at once, if nobody says: as many as memory holds.

On a CPU the limit is a constant and not the memory of the day, so that a run is the same on every machine.
"""

import torch

from etude.config import RunConfig
from etude.models.sizes import step_memory
from etude.training.cadence import micro_rows

CPU_BYTES = 4 * 2**30
"""Activations and work space of one forward pass on a CPU at most, about."""
_SHARE_OF_FREE = 0.8
"""What of an accelerator's free memory is planned with: kernels need room of their own, and estimates err."""


def rows_at_once(
    config: RunConfig, vocab_size: int, rows: int, device: torch.device, precision: str, *, num_shards: int = 1
) -> int:
    """Return the rows of one forward pass: a divisor of ``rows``.

    Args:
        config: ``train.micro_batch_tokens`` decides if it is given.
        vocab_size: number of token ids.
        rows: of a step, of this rank.
        device: where the model will be; asked before its weights are there.
        precision: of products: float32, bfloat16 or float16.
        num_shards: ranks that share weights, gradients and moments out.
    """
    machine, model = config.train, config.model
    if machine.micro_batch_tokens is not None:
        return micro_rows(rows, model.ctx_len, machine.micro_batch_tokens)
    try:
        parts = step_memory(
            model,
            vocab_size,
            1,
            precision,
            recompute=machine.recompute_activations,
            optimizer=config.optim.kind,
        )
    except AttributeError:  # a kind of model from outside, whose settings say nothing about memory
        return rows
    one_row = parts.pop("activations") + parts.pop("work")
    held = sum(parts.values()) // num_shards
    limit = CPU_BYTES
    free = _free_bytes(device)
    if free is not None:
        limit = _SHARE_OF_FREE * free - held
    return micro_rows(rows, model.ctx_len, max(1, int(limit // one_row)) * model.ctx_len)


def _free_bytes(device: torch.device) -> int | None:
    """Return the free memory of an accelerator; None for a CPU."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return None
