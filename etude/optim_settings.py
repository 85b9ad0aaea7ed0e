"""Settings of the optimiser and its schedule.

Schedules, with ``t`` the step to be taken (1, 2, …), ``w = warmup_steps``, ``s = schedule_steps``,
``done = (t - w) / (s - w)`` from 0 to 1 and no farther, and ``low = final_lr_fraction``. All begin with a line from 0
up to peak_lr at w; what follows is peak_lr times

    constant       1
    cosine         low + (1 - low) * (1 + cos(pi * done)) / 2
    warmup_linear  low + (1 - low) * (1 - done)
    polynomial     low + (1 - low) * (1 - done) ** decay_power
    exponential    low ** done
    step           decay_factor ** floor((t - w) / decay_every_steps)
    inverse_sqrt   sqrt(max(w, 1) / t)
    noam           the same; w must be 1 or more, and the Transformer's own peak is ``noam_peak_lr``

The schedule's length is a setting of its own, so that a run can be given more steps and stay the same run.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from etude.settings import Settings, setting

Beta = Annotated[float, Field(ge=0, lt=1)]
_END_AT_SCHEDULE_STEPS = ("cosine", "warmup_linear", "polynomial", "exponential")


class OptimSettings(Settings):
    """How weights follow gradients."""

    kind: Literal["adamw", "adam", "prodigy", "muon"] = setting(
        "adamw",
        text="optimiser; adamw decays weights apart from the gradient, prodigy finds its own step size, muon turns the "
        "momentum of a block's matrices into rotations and leaves the rest to adamw",
    )
    peak_lr: float = setting(1e-3, gt=0, text="highest learning rate of the schedule; 1 for prodigy")
    betas: tuple[Beta, Beta] = setting((0.9, 0.95), text="decay of the running means of gradient and squared gradient")
    eps: float = setting(1e-8, gt=0, text="added to the root of the mean squared gradient")
    weight_decay: float = setting(0.1, ge=0, text="decay of weight matrices; biases and norms are never decayed")
    embedding_lr_factor: float = setting(
        1.0, ge=0, text="learning rate of tables of embeddings, as a multiple of that of all else"
    )
    schedule: Literal[
        "noam", "cosine", "constant", "warmup_linear", "polynomial", "exponential", "step", "inverse_sqrt"
    ] = setting("cosine", text="how the learning rate changes with the step")
    warmup_steps: int = setting(100, ge=0, unit="steps", text="steps until the learning rate is at its peak")
    schedule_steps: int = setting(
        1000,
        ge=1,
        unit="steps",
        text="step at which cosine, warmup_linear, polynomial and exponential reach their end; not the budget",
    )
    final_lr_fraction: float = setting(
        0.1, ge=0, le=1, text="learning rate at the end of such a schedule, as a fraction of peak_lr"
    )
    decay_power: float = setting(2.0, gt=0, text="power of the polynomial schedule")
    decay_every_steps: int = setting(1000, ge=1, unit="steps", text="steps between two falls of the step schedule")
    decay_factor: float = setting(0.5, gt=0, le=1, text="what is left of the rate after a fall of the step schedule")
    clip_norm: float | None = setting(1.0, gt=0, text="gradients are scaled down to this norm; null for never")

    @model_validator(mode="after")
    def _check_schedule(self) -> "OptimSettings":
        if self.schedule in _END_AT_SCHEDULE_STEPS and self.warmup_steps >= self.schedule_steps:
            raise ValueError(
                f"warmup_steps = {self.warmup_steps}: not below "
                f"optim.schedule_steps = {self.schedule_steps}; give a shorter warm-up or a longer schedule"
            )
        if self.schedule == "noam" and self.warmup_steps == 0:
            raise ValueError("warmup_steps = 0: the noam schedule needs a warm-up of 1 step or more; 4000 is usual")
        if self.schedule == "exponential" and self.final_lr_fraction == 0:
            raise ValueError("final_lr_fraction = 0: the exponential schedule never gets there; 0.01 is usual")
        if self.kind == "prodigy" and self.peak_lr < 0.1:
            raise ValueError(
                f"peak_lr = {self.peak_lr}: prodigy finds the step size itself and peak_lr multiplies it; "
                "set optim.peak_lr=1"
            )
        return self


def noam_peak_lr(model_dim: int, warmup_steps: int) -> float:
    """Return the highest learning rate of the Transformer's own noam schedule.

    Example:
        >>> f"{noam_peak_lr(512, 4000):.4e}"
        '6.9877e-04'

    Source:
        Vaswani et al., "Attention Is All You Need", 2017, equation 3 at its highest point.
    """
    return (model_dim * warmup_steps) ** -0.5
