"""Several processes that train one model: ranks, and what they tell each other.

A process that finds ``RANK`` and ``WORLD_SIZE`` in its environment, as ``torchrun`` and ``etude train --devices N``
set them, is one of many ranks; any other is alone, and everything here then does nothing. Each rank has its share
of the rows of every batch and of the windows of every evaluation; ``spread.py`` says what it holds of the model.

Numbers go through the CPU (gloo), so that agreeing on them never waits for a GPU. All ranks see one folder of runs.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from etude.errors import RunError, SettingsError
from etude.training.cadence import rows_of_rank
from etude.training.rank_errors import record_error
from etude.training.rank_guard import end_with_launcher

_PATIENCE = timedelta(days=2)  # for what the first rank makes once, such as the shards of a large corpus


@dataclass(frozen=True)
class Ranks:
    """Which of how many ranks this process is; alone by default.

    Args:
        rank: counted from 0 over all machines.
        size: how many there are.
        local_rank: counted from 0 on this machine; the number of its GPU.
        shard: whether weights are shared out; else each rank has them all.
        store: words between ranks; None for a process alone.
        timeout: how long a rank waits for a message of another.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    shard: bool = False
    store: Any = None
    timeout: timedelta | None = None

    @property
    def is_first(self) -> bool:
        """Whether this rank writes records, checkpoints and models."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is nobody to talk to."""
        return self.store is None

    def device(self, name: str) -> torch.device:
        """Return the device of this rank: of several GPUs, the one of its number.

        Raises:
            SettingsError: one device is named for several ranks.
        """
        device = torch.device(name)
        if self.is_alone or device.type == "cpu":
            return device
        if device.index is not None and self.size > 1:
            raise SettingsError(f"train.device = '{name}': one device for {self.size} ranks; say '{device.type}'")
        return torch.device(device.type, self.local_rank)

    def share(self, rows: int) -> range:
        """Return the rows of a batch that are this rank's.

        Raises:
            SettingsError: they cannot be shared out evenly.
        """
        return rows_of_rank(rows, self.rank, self.size)

    def gather(self, *values: float) -> list[list[float]]:
        """Return the numbers of every rank, first rank first."""
        return (
            [list(values)] if self.is_alone else self.gather_tensor(torch.tensor(values, dtype=torch.float64)).tolist()
        )

    def total(self, *values: float) -> list[float]:
        """Return each number added up over all ranks."""
        return [sum(column) for column in zip(*self.gather(*values), strict=True)]

    def largest(self, *values: float) -> list[float]:
        """Return the largest of each number over all ranks."""
        return [max(column) for column in zip(*self.gather(*values), strict=True)]

    def first_says(self, value: bool) -> bool:
        """Return what the first rank says."""
        return bool(self.gather(value)[0][0])

    @contextlib.contextmanager
    def first_alone(self, what: str) -> Iterator[None]:
        """Let the first rank go through the block before the others enter it."""
        if not self.is_first:
            self.store.wait([what], _PATIENCE)
        yield
        if self.is_first and not self.is_alone:
            self.store.set(what, "done")

    def gather_tensor(self, own: Tensor) -> Tensor:
        """Return the tensors of every rank, of one shape and on the CPU, stacked."""
        every = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(every, own)
        return torch.stack(every)


ALONE = Ranks()
"""A process that nobody else trains with."""


@contextlib.contextmanager
def joined(machine: Any) -> Iterator[Ranks]:
    """Be one of several ranks within the block, if the environment says so.

    Args:
        machine: ``train`` of the configuration: device, shard, rank_timeout_minutes.

    Raises:
        RunError: the other ranks cannot be reached.
    """
    if "RANK" not in os.environ:
        yield Ranks()
        return
    ranks = _join(machine)
    try:
        yield ranks
    except Exception as error:
        record_error(error)
        raise  # the group is left to the end of the process: taking leave of ranks that are gone may take forever
    dist.destroy_process_group()


def _join(machine: Any) -> Ranks:
    timeout = timedelta(minutes=machine.rank_timeout_minutes)
    backend = "cpu:gloo,cuda:nccl" if machine.device.startswith("cuda") else "gloo"
    try:
        end_with_launcher()
        store, rank, size = next(dist.rendezvous("env://", timeout=timeout))
        local_rank = int(os.environ.get("LOCAL_RANK", rank))
        if backend != "gloo":
            torch.cuda.set_device(local_rank)
        words = dist.PrefixStore("ranks", store)
        dist.init_process_group(backend, store=words, rank=rank, world_size=size, timeout=timeout)
    except (RuntimeError, ValueError, OSError) as error:
        record_error(error)
        raise RunError(
            f"rank {os.environ['RANK']}: the others cannot be reached: {str(error).splitlines()[0]}; "
            "check MASTER_ADDR, MASTER_PORT, WORLD_SIZE and the network between the machines"
        ) from error
    return Ranks(rank, size, local_rank, machine.shard == "shard", dist.PrefixStore("etude", store), timeout)
