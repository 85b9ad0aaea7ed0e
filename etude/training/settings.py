"""Settings of the training loop: budget, batch, precision, and the cadence of everything that repeats."""

from typing import Literal

from etude.settings import Settings, setting


class TrainSettings(Settings):
    """How long, in what batches, from which seed, and what is kept on the way."""

    num_steps: int = setting(
        1000, ge=0, unit="steps", kind="budget", text="optimiser steps in all; raise it to go on with a run"
    )
    max_minutes: float | None = setting(
        None,
        gt=0,
        unit="minutes",
        kind="budget",
        text="training time in all after which the run ends; null for no limit",
    )
    batch_tokens: int = setting(
        8192, ge=1, unit="tokens", text="tokens of one optimiser step; a multiple of model.ctx_len"
    )
    micro_batch_tokens: int | None = setting(
        None,
        ge=1,
        unit="tokens",
        kind="machine",
        text="most tokens of one forward pass; null for the whole batch at once",
    )
    seed: int = setting(0, ge=0, le=2**63 - 1, text="seed of every stream of randomness")
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto",
        text="precision of the forward pass; auto is bfloat16 where the device has it; weights stay float32",
    )
    eval_every_steps: int = setting(
        200,
        ge=0,
        unit="steps",
        text="steps between evaluations, at which the best model is chosen; 0 for the end only",
    )
    eval_pieces: int | None = setting(
        None, ge=1, unit="pieces", text="most validation pieces of one evaluation; null for all"
    )
    checkpoint_every_steps: int = setting(
        500, ge=0, unit="steps", kind="machine", text="steps between checkpoints; 0 for none by steps"
    )
    checkpoint_every_minutes: float = setting(
        10.0,
        ge=0,
        unit="minutes",
        kind="machine",
        text="minutes between checkpoints; 0 for none by the clock",
    )
    keep_checkpoints: int = setting(2, ge=1, kind="machine", text="how many of the newest checkpoints stay")
    log_every_steps: int = setting(
        10, ge=1, unit="steps", kind="machine", text="steps that one training record is the mean of"
    )
    sample_takes: int = setting(
        2,
        ge=0,
        kind="machine",
        text="takes that the best model so far plays into samples/ at the end of training; 0 for none",
    )
    sample_every_steps: int = setting(
        0, ge=0, unit="steps", kind="machine", text="steps between takes while training; 0 for the end only"
    )
    device: str = setting("cpu", kind="machine", min_length=1, text="where it computes: cpu, cuda, cuda:1, mps")
