"""Read files of published weights: safetensors, and PyTorch's own files without running what is in them.

``torch.load`` is called with ``weights_only=True`` and nothing else: tensors and plain values come out, and a file that
would run code is refused. ``argparse.Namespace``, in which training scripts keep their arguments, is let through, since
it only holds values.
"""

import argparse
import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from etude.errors import ModelError

_IN_A_FOLDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_HOLD_THE_STATE = ("state_dict", "model_state_dict", "model", "module", "net", "weights")
_WRAPPERS = ("module.", "_orig_mod.")
"""What data parallelism and compilation put before every name."""


@dataclass(frozen=True)
class Weights:
    """Tensors by their published names, and what else the file or the folder says.

    Args:
        path: the file, or the folder.
        tensors: without the prefixes of wrappers.
        extra: other values of the file, and ``config``, what ``config.json`` of a folder holds.
    """

    path: Path
    tensors: dict[str, Tensor]
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        """What ``config.json`` says; empty for a single file."""
        return self.extra.get("config", {})

    def size(self, name: str, axis: int, *, expected: str) -> int:
        """Return the length of one axis of a tensor that must be there.

        Args:
            name: a published name.
            axis: which axis.
            expected: what the file should be, for the message.

        Raises:
            ModelError: no such tensor, or too few axes.
        """
        if name not in self.tensors:
            begins = ", ".join(list(_folded(self.tensors))[:4])
            raise ModelError(
                f"{self.path}: no tensor {name!r}: expected {expected}; this holds {begins or 'no tensors'}"
            )
        shape = self.tensors[name].shape
        if not -len(shape) <= axis < len(shape):
            raise ModelError(f"{self.path}: {name!r} has shape {tuple(shape)}: expected {expected}")
        return shape[axis]

    def layers(self, pattern: str) -> int:
        """Return one more than the highest number that stands in names for the group of ``pattern``, 0 if none does."""
        found = (re.match(pattern, name) for name in self.tensors)
        return max((int(match[1]) + 1 for match in found if match), default=0)


class Taking:
    """Takes tensors by name, and remembers what was missing, of a wrong shape, or never taken.

    Args:
        weights: what to take from.
    """

    def __init__(self, weights: Weights):
        self.weights = weights
        self._left = dict.fromkeys(weights.tensors)
        self._missing: list[str] = []
        self._misshapen: list[str] = []

    def take(self, name: str, *shape: int) -> Tensor:
        """Return a tensor in float32; zeros if it is missing or of another shape, until ``finish`` says so."""
        tensor = self.weights.tensors.get(name)
        self._left.pop(name, None)
        if tensor is None:
            self._missing.append(name)
        elif tensor.shape != shape:
            self._misshapen.append(f"{name} is {tuple(tensor.shape)}, expected {shape}")
        elif not tensor.is_floating_point():
            self._misshapen.append(f"{name} holds {tensor.dtype}, expected numbers with a point")
        else:
            return tensor.float()
        return torch.zeros(()).expand(shape)

    def has(self, name: str) -> bool:
        """Whether the file has a tensor of that name."""
        return name in self.weights.tensors

    def pass_over(self, name: str) -> None:
        """Count a tensor as read that says nothing: a constant that the model makes itself."""
        self._left.pop(name, None)

    def finish(self) -> tuple[str, ...]:
        """Return the names that nothing took.

        Raises:
            ModelError: tensors are missing or of another shape; the message lists them all, and what was not taken.
        """
        left = tuple(self._left)
        told = [
            (f"{len(self._missing)} missing", _folded(self._missing)),
            (f"{len(self._misshapen)} of another shape", self._misshapen),
        ]
        if not any(names for _, names in told):
            return left
        told.append((f"{len(left)} not read", _folded(left)))
        raise ModelError(f"{self.weights.path}: " + "; ".join(f"{what}: {', '.join(n)}" for what, n in told if n))


def read_weights(path: Path | str) -> Weights:
    """Read a file of weights, or a folder as the Hub has it.

    Args:
        path: ``.safetensors``, a file of ``torch.save`` whatever its suffix, or a folder with one of them and
            ``config.json``; split files are put together by their index.

    Raises:
        ModelError: nothing there, damaged, a file that would run code, or no tensors in it.
    """
    path = Path(path)
    if not path.is_dir():
        return _plain(path, *_state_of(path, _read_file(path)))
    found = next((path / name for name in _IN_A_FOLDER if (path / name).is_file()), None)
    if found is None:
        raise ModelError(f"{path}: no weights in this folder; expected one of {', '.join(_IN_A_FOLDER)}")
    config = _json(path / "config.json") if (path / "config.json").is_file() else {}
    if found.suffix != ".json":
        tensors, extra = _state_of(found, _read_file(found))
        return _plain(path, tensors, extra | {"config": config})
    index = _json(found).get("weight_map", {})
    tensors = {}
    for part in sorted(set(index.values())):
        if Path(part).name != part:
            raise ModelError(f"{found}: names the file {part!r}: expected files of the same folder")
        tensors |= _state_of(path / part, _read_file(path / part))[0]
    if missing := sorted(set(index) - set(tensors)):
        raise ModelError(f"{found}: its files lack {', '.join(_folded(missing))}; fetch them again")
    return _plain(path, tensors, {"config": config})


def _plain(path: Path, tensors: dict[str, Tensor], extra: dict[str, Any]) -> Weights:
    """Take off the prefixes that all names have."""
    while tensors and (prefix := next((w for w in _WRAPPERS if all(name.startswith(w) for name in tensors)), None)):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return Weights(path, tensors, extra)


def _read_file(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"{path}: no such file of weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals([argparse.Namespace]):
            # mapped, so that what is not taken, such as the state of an optimiser, is never read
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # whatever a foreign file makes the two readers say
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted:
            raise ModelError(
                f"{path}: not read, since it asks to run {wanted[1]}; expected tensors and plain values: "
                "save the weights alone, as safetensors or with torch.save(model.state_dict(), ...)"
            ) from None
        raise ModelError(f"{path}: damaged, or not weights: {' '.join(str(error).split())[:200]}") from None


def _state_of(path: Path, read: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split what a file holds into its tensors by name and all else."""
    values = read if isinstance(read, dict) else {}
    if _is_state(values):
        return dict(values), {}
    for name in _HOLD_THE_STATE:
        if _is_state(values.get(name)):
            rest = {key: _as_dict(value) for key, value in values.items() if key != name}
            return dict(values[name]), rest
    found = ", ".join(map(str, values)) if values else type(read).__name__
    raise ModelError(f"{path}: holds no weights by name, but {found}; expected a state dict")


def _is_state(values: Any) -> bool:
    return isinstance(values, dict) and bool(values) and all(isinstance(value, Tensor) for value in values.values())


def _as_dict(value: Any) -> Any:
    return vars(value) if isinstance(value, argparse.Namespace) else value


def _json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: damaged: {error}") from None
    if not isinstance(read, dict):
        raise ModelError(f"{path}: expected a JSON object, got {type(read).__name__}")
    return read


def _folded(names: Any) -> list[str]:
    """Return names, those that differ in one number said once.

    Example:
        >>> _folded(["head", "layers.0.up", "layers.1.up", "layers.2.up", "layers.4.up"])
        ['head', 'layers.{0-2,4}.up']
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for name in names:
        found = re.search(r"(?<![^.])\d+(?![^.])", name)
        key = (name[: found.start()], name[found.end() :]) if found else (name, "")
        groups.setdefault(key, []).extend([int(found[0])] if found else [])
    return [before + _ranges(numbers) + after for (before, after), numbers in groups.items()]


def _ranges(numbers: list[int]) -> str:
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    told = ",".join(f"{first}-{last}" if last > first else str(first) for first, last in spans)
    return "{" + told + "}" if len(numbers) > 1 else told
