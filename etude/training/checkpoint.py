"""Checkpoints: everything that a run needs to go on as if it had never stopped.

    checkpoints/step-00000200/
        model.safetensors       the network's weights, float32
        optimizer.safetensors   "<parameter>.<moment>" for every moment of every parameter
        state.json              step, best values, task state, what the run was made with, SHA-256 of the other files

Of ranks that share weights out, each writes its own part instead, see ``checkpoint_shards.py``; either kind loads on
any number of ranks. A folder is drafted, synced and renamed, so it is whole or absent. The newest one whose
checksums hold is loaded; a damaged one is passed over with a warning. Randomness needs no state: it is a function
of (seed, stream, step, index).
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from etude.errors import RunError
from etude.files import draft_folder, sha256_of_file, write_json
from etude.training.checkpoint_layout import LAYOUT, read_whole
from etude.training.spread import check_same_weights
from etude.training.state import TrainState

VERSION = 2
_FILES = ("model.safetensors", "optimizer.safetensors")
_MIGRATIONS = {1: lambda values: values | {"made_with": {}}}
"""From a version to the next, by version."""


class Checkpoints:
    """The checkpoints of a run.

    Args:
        folder: the run's ``checkpoints/``.
        parts: the training's ``model``, ``optimizer``, ``task`` and ``ranks``; the task's ``state_dict()`` holds
            what JSON can.
        made_with: what must not change between two starts, by the name of its setting.
        keep: how many checkpoints stay, 1 or more.
    """

    def __init__(self, folder: Path, parts: Any, *, made_with: dict[str, Any], keep: int):
        self.folder = folder
        self.parts = parts
        self._made_with = made_with
        self._keep = keep
        self._saver = None
        if parts.ranks.shard:
            from etude.training.checkpoint_shards import Saver

            self._saver = Saver(parts.ranks.timeout)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint, and remove the oldest ones beyond ``keep``.

        Ranks that share weights out copy their part and write it beside the next steps; the first rank alone
        writes what replicas have in common.

        Raises:
            RunError: replicas are no longer the same, or the checkpoint before could not be written.
        """
        parts = self.parts
        check_same_weights(parts.model, parts.ranks)
        path = self.folder / f"step-{state.step:08d}"
        values = {"version": VERSION, "made_with": self._made_with, "task": parts.task.state_dict()} | asdict(state)
        if self._saver is not None:
            tensors = _weights(parts.model) | _moments(parts.model, parts.optimizer)
            self._saver.start(path, tensors, values, then=self._forget_oldest)
        elif parts.ranks.is_first:
            with draft_folder(path) as draft:
                save_file(_weights(parts.model), draft / "model.safetensors")
                save_file(_moments(parts.model, parts.optimizer), draft / "optimizer.safetensors")
                sums = {name: sha256_of_file(draft / name) for name in _FILES}
                write_json(draft / "state.json", values | {"sha256": sums})
            self._forget_oldest()

    def wait(self) -> None:
        """Return once the newest checkpoint is on the disk.

        Raises:
            RunError: it could not be written.
        """
        if self._saver is not None:
            self._saver.wait()

    def load_newest(self, *, warn: Callable[[str], None]) -> TrainState | None:
        """Load the newest checkpoint whose checksums hold into model, optimiser and task.

        Args:
            warn: called with a line for every damaged checkpoint that is passed over.

        Returns:
            The state to go on from; None when there is no checkpoint.

        Raises:
            RunError: every checkpoint is damaged; it was made with another batch; ranks see different folders.
        """
        found = _newest_first(self.folder)
        self._check_same_view(found)
        if self.parts.ranks.is_first:
            for draft in self.folder.glob(".step-*"):  # of a process that was killed while it saved
                shutil.rmtree(draft, ignore_errors=True)
        for path in found:
            values = self._read_if_whole(path)
            if values is None:
                warn(f"{path}: damaged, passed over for the one before")
                continue
            self._refuse_other_batch(path, values["made_with"])
            self._load_tensors(path)
            self.parts.task.load_state_dict(values["task"])
            return TrainState(**{name: values[name] for name in TrainState.__dataclass_fields__ if name in values})
        if found:
            raise RunError(
                f"{self.folder}: none of {len(found)} checkpoints is whole; train with --clear to start again"
            )
        return None

    def _check_same_view(self, found: list[Path]) -> None:
        steps = [float(path.name.removeprefix("step-")) for path in found]
        views = self.parts.ranks.gather(len(steps), max(steps, default=-1.0))
        for rank, view in enumerate(views):
            if view != views[0]:
                raise RunError(f"{self.folder}: rank {rank} sees other checkpoints there than rank 0; share the folder")

    def _read_if_whole(self, path: Path) -> dict[str, Any] | None:
        """Return a checkpoint's values if its files are what was written; each rank looks at some of them."""
        ranks, values = self.parts.ranks, None
        try:
            values = json.loads((path / "state.json").read_text())
            while values["version"] in _MIGRATIONS:
                values = _MIGRATIONS[values["version"]](values) | {"version": values["version"] + 1}
            own = sorted(values["sha256"])[ranks.rank :: ranks.size]
            if values["version"] != VERSION or any(sha256_of_file(path / n) != values["sha256"][n] for n in own):
                values = None
        except (OSError, ValueError, KeyError, TypeError):
            values = None
        [damaged] = ranks.largest(float(values is None))
        return None if damaged else values

    def _refuse_other_batch(self, path: Path, made_with: dict[str, Any]) -> None:
        for name, before in made_with.items():
            now = self._made_with.get(name, before)
            if before != now:
                raise RunError(
                    f"{path}: made with {name} = {before}, and the run now has {now}: a step would mean something else "
                    "and the losses would not go on; set it back, or start another run"
                )

    def _load_tensors(self, path: Path) -> None:
        model, optimizer = self.parts.model, self.parts.optimizer
        if self.parts.ranks.shard:
            from etude.training.checkpoint_shards import load_into

            _set_moments(model, optimizer, load_into(path, model.state_dict(), dict(model.named_parameters())))
        elif (path / LAYOUT).is_file():
            tensors = read_whole(path)
            names = model.state_dict().keys()
            model.load_state_dict({name: tensors.pop(name) for name in names}, strict=True)
            _set_moments(model, optimizer, tensors)
        else:
            model.load_state_dict(load_file(path / "model.safetensors"), strict=True)
            _set_moments(model, optimizer, load_file(path / "optimizer.safetensors"))

    def _forget_oldest(self) -> None:
        for old in _newest_first(self.folder)[self._keep :]:
            shutil.rmtree(old)


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True) if folder.is_dir() else []


def _weights(model) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}


def _moments(model, optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{moment}": torch.as_tensor(value).detach().contiguous()
        for name, parameter in model.named_parameters()
        for moment, value in optimizer.state.get(parameter, {}).items()
    }


def _set_moments(model, optimizer, tensors: dict[str, torch.Tensor]) -> None:
    parameters = dict(model.named_parameters())
    for key, tensor in tensors.items():
        name, moment = key.rsplit(".", 1)
        parameter = parameters[name]
        # moments lie beside their parameter; a count of steps on the CPU, unless one kernel does the whole update
        is_beside = tensor.shape == parameter.shape or (moment == "step" and optimizer.defaults.get("fused"))
        optimizer.state[parameter][moment] = tensor.to(parameter.device if is_beside else "cpu")
