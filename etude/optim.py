"""Optimisers, parameter groups and the learning rate of a step; settings and formulas are in ``optim_settings.py``.

A model may say itself how its weights are grouped: ``parameter_groups()`` returns a list of ``ParameterGroup`` that
holds every weight once. Without it the groups are ``embedding``, the tables of embeddings; ``matrices``, the weights of
the linear layers in blocks; and ``rest``.
"""

import math
from collections import Counter
from dataclasses import dataclass

import torch
from torch import nn

from etude.errors import SettingsError
from etude.optim_kinds import Muon, Prodigy
from etude.optim_settings import OptimSettings

_FUSED_ON = ("cpu", "cuda", "mps", "xpu")
"""Kinds of device where torch has the whole update as one kernel."""


@dataclass(frozen=True)
class ParameterGroup:
    """Weights that are updated alike.

    Args:
        name: what they are: those named ``embedding`` have the rate of ``optim.embedding_lr_factor``, and those named
            ``matrices`` are turned by muon.
        parameters: the weights.
        lr_factor: their learning rate, as a multiple of that of the step.
        decays: whether weight decay is meant for them; vectors never decay.
    """

    name: str
    parameters: list[nn.Parameter]
    lr_factor: float = 1.0
    decays: bool = True


def parameter_groups(model: nn.Module) -> list[ParameterGroup]:
    """Return the groups of a model's weights, each weight in exactly one.

    Raises:
        SettingsError: the model's own groups leave a weight out, or hold one twice.
    """
    own = getattr(model, "parameter_groups", None)
    groups = _usual_groups(model) if own is None else own()
    held = Counter(id(parameter) for group in groups for parameter in group.parameters)
    for name, parameter in model.named_parameters():
        if held[id(parameter)] != 1:
            raise SettingsError(
                f"model: parameter {name} is in {held[id(parameter)]} groups of "
                f"{type(model).__name__}.parameter_groups(); expected 1"
            )
    return groups


def build_optimizer(settings: OptimSettings, model: nn.Module) -> torch.optim.Optimizer:
    """Build the optimiser over the trainable parameters of a model.

    Matrices and tables (two axes or more) decay, vectors (norms, biases) do not. Learning rates are those of
    ``peak_lr`` until the caller sets them with ``set_learning_rate``.

    Args:
        settings: the optimiser's settings.
        model: on the device where it will be trained.

    Raises:
        SettingsError: muon over weights that are shared out over ranks, or groups that a weight is missing from.
    """
    groups = [part for group in parameter_groups(model) for part in _split(group, settings)]
    if settings.kind == "muon" and any(hasattr(p, "full_tensor") for p in model.parameters()):
        raise SettingsError("optim.kind = 'muon': needs whole matrices; set train.shard=replicate, or take adamw")
    values = {"lr": settings.peak_lr, "betas": settings.betas, "eps": settings.eps}
    if settings.kind == "prodigy":
        return Prodigy(groups, **values)
    values["fused"] = all(p.device.type in _FUSED_ON for group in groups for p in group["params"])
    return {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "muon": Muon}[settings.kind](groups, **values)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of a step; each group has its own multiple of it."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_factor", 1.0)


def learning_rate_at(settings: OptimSettings, step: int) -> float:
    """Return the learning rate of the update number ``step``, the first being 1.

    Example:
        >>> from etude.optim_settings import noam_peak_lr
        >>> paper = OptimSettings(schedule="noam", peak_lr=noam_peak_lr(768, 4000), warmup_steps=4000)
        >>> f"{learning_rate_at(paper, 211):.7e}"
        '3.0096213e-05'
    """
    warmup, peak = settings.warmup_steps, settings.peak_lr
    if step < warmup:
        return peak * step / warmup
    match settings.schedule:
        case "constant":
            return peak
        case "noam" | "inverse_sqrt":
            return peak * math.sqrt(max(warmup, 1) / max(step, 1))
        case "step":
            return peak * settings.decay_factor ** ((step - warmup) // settings.decay_every_steps)
    done = min(1.0, (step - warmup) / (settings.schedule_steps - warmup))
    low = settings.final_lr_fraction
    if settings.schedule == "exponential":
        return peak * low**done
    left = {
        "cosine": (1.0 + math.cos(math.pi * done)) / 2,
        "warmup_linear": 1.0 - done,
        "polynomial": (1.0 - done) ** settings.decay_power,
    }[settings.schedule]
    return peak * (low + (1.0 - low) * left)


def _split(group: ParameterGroup, settings: OptimSettings) -> list[dict]:
    """Return what torch takes for the weights of a group that decay, and for those that do not, if there are any."""
    factor = group.lr_factor * (settings.embedding_lr_factor if group.name == "embedding" else 1.0)
    trained = [p for p in group.parameters if p.requires_grad]
    shared = {"name": group.name, "lr": settings.peak_lr * factor, "lr_factor": factor}
    matrices = {"params": [p for p in trained if p.ndim >= 2], "weight_decay": settings.weight_decay * group.decays}
    vectors = {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0}
    return [shared | part for part in (matrices, vectors) if part["params"]]


def _usual_groups(model: nn.Module) -> list[ParameterGroup]:
    tables = {id(one.weight) for one in model.modules() if isinstance(one, nn.Embedding)}
    blocks = getattr(model, "blocks", nn.ModuleList())
    inner = {id(one.weight) for one in blocks.modules() if isinstance(one, nn.Linear)} - tables
    groups = {name: ParameterGroup(name, []) for name in ("embedding", "matrices", "rest")}
    for weight in model.parameters():
        name = "embedding" if id(weight) in tables else "matrices" if id(weight) in inner else "rest"
        groups[name].parameters.append(weight)
    return list(groups.values())
