"""Checkpoints: everything that a run needs to go on as if it had never stopped.

    checkpoints/step-00000200/
        model.safetensors       the network's weights, float32
        optimizer.safetensors   "<parameter>.<moment>" for every moment of every parameter
        state.json              step, best values, task state, and the SHA-256 of the two files above

A folder is drafted, synced and renamed, so it is whole or absent. The newest one whose checksums hold is
loaded; a damaged one is passed over with a warning. Randomness needs no state: it is a function of
(seed, stream, step, index).
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from etude.errors import RunError
from etude.files import draft_folder, sha256_of_file, write_json

VERSION = 1
_FILES = ("model.safetensors", "optimizer.safetensors")


@dataclass
class TrainState:
    """What the loop remembers besides weights and moments.

    Args:
        step: optimiser steps done.
        tokens: training targets seen.
        seconds: time spent in steps, over all starts.
        best_loss: lowest validation loss so far, nats per token; None before the first evaluation.
        best_accuracy: highest validation accuracy so far; None before the first evaluation.
        recent: sums over the steps since the last line of the log.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_loss: float | None = None
    best_accuracy: float | None = None
    recent: dict[str, float] = field(default_factory=dict)

    def count(self, nats: float, correct: int, targets: int, seconds: float, lr: float, norm: float) -> None:
        """Add one step: its mean loss, how many of its targets were the likeliest id, time, rate and norm."""
        self.step += 1
        self.tokens += targets
        self.seconds += seconds
        sums = {"steps": 1, "nats": nats, "correct": correct, "targets": targets, "seconds": seconds, "grad_norm": norm}
        self.recent = {name: self.recent.get(name, 0) + value for name, value in sums.items()} | {"lr": lr}

    def take_recent(self) -> dict[str, float]:
        """Return the means since the last call, as a line of the log, and start over."""
        recent, self.recent = self.recent, {}
        return {
            "loss": recent["nats"] / recent["steps"],
            "accuracy": recent["correct"] / recent["targets"],
            "grad_norm": recent["grad_norm"] / recent["steps"],
            "lr": recent["lr"],
            "tokens": self.tokens,
            "tokens_per_sec": recent["targets"] / recent["seconds"],
        }


def save_checkpoint(folder: Path, state: TrainState, parts: Any, *, keep: int) -> Path:
    """Write a checkpoint and remove the oldest ones beyond ``keep``.

    Args:
        folder: the run's ``checkpoints/``.
        state: counters and best values.
        parts: the training's ``model``, ``optimizer`` and ``task``; the task's ``state_dict()`` holds what JSON can.
        keep: how many checkpoints stay, 1 or more.

    Returns:
        The folder written.
    """
    path = folder / f"step-{state.step:08d}"
    with draft_folder(path) as draft:
        save_file(_weights(parts.model), draft / "model.safetensors")
        save_file(_moments(parts.model, parts.optimizer), draft / "optimizer.safetensors")
        sums = {name: sha256_of_file(draft / name) for name in _FILES}
        write_json(
            draft / "state.json", {"version": VERSION, "sha256": sums, "task": parts.task.state_dict()} | asdict(state)
        )
    for old in _newest_first(folder)[keep:]:
        shutil.rmtree(old)
    return path


def load_newest(folder: Path, parts: Any, *, warn: Callable[[str], None]) -> TrainState | None:
    """Load the newest checkpoint whose checksums hold into model, optimiser and task.

    Args:
        folder: the run's ``checkpoints/``.
        parts: the training's ``model``, ``optimizer`` and ``task``, as built before the first step.
        warn: called with a line for every damaged checkpoint that is passed over.

    Returns:
        The state to go on from; None when there is no checkpoint.

    Raises:
        RunError: there are checkpoints, and every one is damaged.
    """
    found = _newest_first(folder)
    for path in found:
        values = _read_if_whole(path)
        if values is None:
            warn(f"{path}: damaged, passed over for the one before")
            continue
        weights = load_file(path / "model.safetensors")
        parts.model.load_state_dict(weights, strict=True)
        _set_moments(parts.model, parts.optimizer, load_file(path / "optimizer.safetensors"))
        parts.task.load_state_dict(values.pop("task"))
        return TrainState(**{name: values[name] for name in TrainState.__dataclass_fields__})
    if found:
        raise RunError(f"{folder}: none of {len(found)} checkpoints is whole; train with --clear to start again")
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True) if folder.is_dir() else []


def _read_if_whole(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads((path / "state.json").read_text())
        if values["version"] != VERSION:
            return None
        if all(sha256_of_file(path / name) == values["sha256"][name] for name in _FILES):
            return values
    except (OSError, ValueError, KeyError):
        pass
    return None


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
        # torch keeps the step count on the CPU, moments beside their parameter
        device = parameter.device if tensor.shape == parameter.shape else "cpu"
        optimizer.state[parameter][moment] = tensor.to(device)
