"""Checkpoints of ranks that share weights out: each writes its part, beside the steps that follow.

    checkpoints/step-00000200/
        shard-0-of-2.safetensors    rank 0's part of every weight and moment
        shard-1-of-2.safetensors
        shards.json                 of every tensor: type, size, and which part of it is in which file
        state.json                  as in a checkpoint of one process; it is written last

torch's distributed checkpointing decides who writes what, copies it, and brings any parts back to any number of
ranks. Its own file format keeps its table of parts in a pickle, so here are a writer and a reader of ours: tensors
are in safetensors, the table in JSON. See ``checkpoint_layout.py`` for reading such a folder without any of this.
"""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult

from etude.errors import RunError
from etude.files import sha256_of_file, write_json
from etude.training.checkpoint_layout import LAYOUT, Layout, place, read_layout


class Saver:
    """Writes one checkpoint at a time, in a thread of torch's, with messages on a line of its own.

    Args:
        timeout: how long a rank waits for a message of another.
    """

    def __init__(self, timeout: timedelta | None) -> None:
        self._group = dist.new_group(backend="gloo", timeout=timeout)
        self._pending: Future | None = None
        self._path = Path()

    def start(self, path: Path, tensors: dict[str, Tensor], values: dict[str, Any], *, then: Callable) -> None:
        """Copy this rank's part of all tensors, and write it while training goes on.

        Args:
            path: the checkpoint's folder, absent until all of it is on the disk.
            tensors: all that is saved, by name.
            values: for ``state.json``.
            then: called on the first rank when the checkpoint is whole.

        Raises:
            RunError: the checkpoint before could not be written.
        """
        self.wait()
        self._path = path
        self._pending = dcp.async_save(tensors, storage_writer=_Writer(path, values, then), process_group=self._group)

    def wait(self) -> None:
        """Return once the checkpoint before is on the disk.

        Raises:
            RunError: it could not be written.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            pending.result()
        except dcp.CheckpointException as error:
            raise _as_run_error(f"{self._path}: cannot be written; the one before is whole", error) from error


def load_into(path: Path, weights: dict[str, Tensor], parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fill this rank's part of weights from a checkpoint of any number of ranks.

    Args:
        path: the checkpoint's folder.
        weights: a model's own tensors by name, shared out or not; overwritten.
        parameters: by name; moments are shared out as they are.

    Returns:
        This rank's part of the moments, by name.
    """
    layout = read_layout(path)
    moments = {name: _empty_moment(name, found, parameters) for name, found in layout.items() if name not in weights}
    try:
        dcp.load(weights | moments, storage_reader=_Reader(path, layout))
    except dcp.CheckpointException as error:
        raise _as_run_error(f"{path}: cannot be loaded", error) from error
    return moments


def _empty_moment(name: str, found: dict[str, Any], parameters: dict[str, Tensor]) -> Tensor:
    parameter = parameters[name.rpartition(".")[0]]
    if list(parameter.shape) == found["size"]:
        return torch.zeros_like(parameter.detach())
    return torch.zeros(found["size"], dtype=getattr(torch, found["dtype"]))


@dataclass(frozen=True)
class _Stored:
    """Where a part went, and the SHA-256 of that file."""

    file: str
    sha256: str


class _Writer(StorageWriter):
    """What torch asks of a storage: a file a rank, and a folder that is there when all are whole."""

    def __init__(self, path: Path, values: dict[str, Any], then: Callable[[], None]):
        self._path = path
        self._draft = path.with_name(f".{path.name}.draft")
        self._values = values
        self._then = then

    def reset(self, checkpoint_id: Any = None) -> None:
        """Nothing is left over from before."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Make an empty draft; the other ranks write only after this."""
        if is_coordinator:
            shutil.rmtree(self._draft, ignore_errors=True)
            self._draft.mkdir(parents=True)

    def prepare_local_plan(self, plan: dcp.SavePlan) -> dcp.SavePlan:
        """Write what torch says."""
        return plan

    def prepare_global_plan(self, plans: list[dcp.SavePlan]) -> list[dcp.SavePlan]:
        """Give each rank its file."""
        names = [f"shard-{rank}-of-{len(plans)}.safetensors" for rank in range(len(plans))]
        return [replace(plan, storage_data=name) for plan, name in zip(plans, names, strict=True)]

    def write_data(self, plan: dcp.SavePlan, planner: dcp.SavePlanner) -> torch.futures.Future[list[WriteResult]]:
        """Write this rank's parts and sync them."""
        tensors = {item.index.fqn: planner.resolve_data(item).contiguous() for item in plan.items}
        if len(tensors) != len(plan.items):
            raise NotImplementedError("several parts of one weight on one rank: weights are shared out along one axis")
        file = self._draft / plan.storage_data
        save_file(tensors, file)
        _sync(file)
        stored = _Stored(file.name, sha256_of_file(file))
        done = torch.futures.Future()
        done.set_result([WriteResult(item.index, tensors[item.index.fqn].nbytes, stored) for item in plan.items])
        return done

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Write the tables, and give the draft its name."""
        written = [result for of_rank in results for result in of_rank]
        write_json(self._draft / LAYOUT, _layout_of(metadata, written))
        sums = {one.storage_data.file: one.storage_data.sha256 for one in written}
        sums[LAYOUT] = sha256_of_file(self._draft / LAYOUT)
        write_json(self._draft / "state.json", self._values | {"sha256": sums})
        _sync(self._draft)
        shutil.rmtree(self._path, ignore_errors=True)
        self._draft.replace(self._path)
        _sync(self._path.parent)
        self._then()

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """Only a path given to the constructor counts."""
        return False


class _Reader(StorageReader):
    """The way back: torch asks for parts of parts, whoever wrote them."""

    def __init__(self, path: Path, layout: Layout):
        self._path = path
        self._layout = layout
        self._files: dict[MetadataIndex, str] = {}

    def reset(self, checkpoint_id: Any = None) -> None:
        """Nothing is left over from before."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Tell torch what there is."""
        tensors, files = {}, {}
        for name, found in self._layout.items():
            chunks = [ChunkStorageMetadata(torch.Size(c["offsets"]), torch.Size(c["sizes"])) for c in found["chunks"]]
            properties = TensorProperties(dtype=getattr(torch, found["dtype"]))
            tensors[name] = TensorStorageMetadata(properties, torch.Size(found["size"]), chunks)
            files |= {MetadataIndex(name, chunk["offsets"]): chunk["file"] for chunk in found["chunks"]}
        return Metadata(tensors, storage_data=files)

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Remember which part is where."""
        self._files = metadata.storage_data

    def prepare_local_plan(self, plan: dcp.LoadPlan) -> dcp.LoadPlan:
        """Read what torch says."""
        return plan

    def prepare_global_plan(self, plans: list[dcp.LoadPlan]) -> list[dcp.LoadPlan]:
        """Read what torch says."""
        return plans

    def read_data(self, plan: dcp.LoadPlan, planner: dcp.LoadPlanner) -> torch.futures.Future[None]:
        """Copy parts of files into this rank's tensors."""
        files = sorted({self._files[item.storage_index] for item in plan.items})
        for file in files:
            with safe_open(self._path / file, framework="pt") as opened:
                for item in (one for one in plan.items if self._files[one.storage_index] == file):
                    part = place(item.storage_offsets, item.lengths)
                    name = item.storage_index.fqn
                    target = planner.resolve_tensor(item).detach()
                    # a number of its own has no slices
                    target.copy_(opened.get_slice(name)[part] if part else opened.get_tensor(name))
                    planner.commit_tensor(item, target)
        done = torch.futures.Future()
        done.set_result(None)
        return done

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """Only a path given to the constructor counts."""
        return False


def _as_run_error(what: str, error: dcp.CheckpointException) -> RunError:
    rank, (cause, _) = next(iter(error.failures.items()))
    return RunError(f"{what}: rank {rank}: {type(cause).__name__}: {cause}")


def _layout_of(metadata: Metadata, written: list[WriteResult]) -> Layout:
    layout = {
        name: {"dtype": str(found.properties.dtype).removeprefix("torch."), "size": list(found.size), "chunks": []}
        for name, found in metadata.state_dict_metadata.items()
    }
    sizes = {
        (name, tuple(chunk.offsets)): list(chunk.sizes)
        for name, found in metadata.state_dict_metadata.items()
        for chunk in found.chunks
    }
    for one in written:
        name, offsets = one.index.fqn, list(one.index.offset or [0] * len(layout[one.index.fqn]["size"]))
        chunk = {"file": one.storage_data.file, "offsets": offsets, "sizes": sizes[name, tuple(offsets)]}
        layout[name]["chunks"].append(chunk)
    return layout


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
