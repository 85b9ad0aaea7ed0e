"""Settings of the optimiser and its schedule.

Schedules, with ``t`` the step to be taken (1, 2, …), ``w = warmup_steps`` and ``s = schedule_steps``:

    noam           peak_lr * min(t / w, sqrt(w / t)); the Transformer's own peak is ``noam_peak_lr``
    cosine         a line up to peak_lr at w, half a cosine to final_lr_fraction * peak_lr at s, then flat
    constant       a line up to peak_lr at w, then flat
    warmup_linear  a line up to peak_lr at w, a line to final_lr_fraction * peak_lr at s, then flat

The schedule's length is a setting of its own, so that a run can be given more steps and stay the same run.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from etude.settings import Settings, setting

Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimSettings(Settings):
    """How weights follow gradients."""

    kind: Literal["adamw", "adam"] = setting("adamw", text="optimiser; adamw decays weights apart from the gradient")
    peak_lr: float = setting(1e-3, gt=0, text="highest learning rate of the schedule")
    betas: tuple[Beta, Beta] = setting((0.9, 0.95), text="decay of the running means of gradient and squared gradient")
    eps: float = setting(1e-8, gt=0, text="added to the root of the mean squared gradient")
    weight_decay: float = setting(0.1, ge=0, text="decay of weight matrices; biases and norms are never decayed")
    schedule: Literal["noam", "cosine", "constant", "warmup_linear"] = setting(
        "cosine", text="how the learning rate changes with the step"
    )
    warmup_steps: int = setting(100, ge=0, unit="steps", text="steps until the learning rate is at its peak")
    schedule_steps: int = setting(
        1000,
        ge=1,
        unit="steps",
        text="step at which cosine and warmup_linear reach their end; not the budget",
    )
    final_lr_fraction: float = setting(
        0.1, ge=0, le=1, text="learning rate at the end of cosine and warmup_linear, as a fraction of peak_lr"
    )
    clip_norm: float | None = setting(1.0, gt=0, text="gradients are scaled down to this norm; null for never")

    @model_validator(mode="after")
    def _check_schedule(self) -> "OptimSettings":
        if self.schedule in ("cosine", "warmup_linear") and self.warmup_steps >= self.schedule_steps:
            raise ValueError(
                f"warmup_steps = {self.warmup_steps}: not below "
                f"optim.schedule_steps = {self.schedule_steps}; give a shorter warm-up or a longer schedule"
            )
        if self.schedule == "noam" and self.warmup_steps == 0:
            raise ValueError("warmup_steps = 0: the noam schedule needs a warm-up of 1 step or more; 4000 is usual")
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
