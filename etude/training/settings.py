"""Settings of the training loop: budget, batch, precision, and the cadence of everything that repeats."""

from typing import Literal

from pydantic import model_validator

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
    patience: int | None = setting(
        None,
        ge=1,
        unit="evaluations",
        kind="budget",
        text="the run ends when so many evaluations have brought no lower validation loss; null for never",
    )
    batch_tokens: int = setting(
        8192, ge=1, unit="tokens", text="tokens of one optimiser step; a multiple of model.ctx_len"
    )
    micro_batch_tokens: int | None = setting(
        None,
        ge=1,
        unit="tokens",
        kind="machine",
        text="most tokens of one forward pass; null for as many as fit: free memory, on a CPU about 4 GB",
    )
    recompute_activations: bool = setting(
        False,
        kind="machine",
        text="blocks keep only their inputs and run again for the backward pass: less memory, a third more time",
    )
    seed: int = setting(0, ge=0, le=2**63 - 1, text="seed of every stream of randomness")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = setting(
        "auto",
        text="precision of the forward pass; auto is bfloat16 where the device has it; float16 runs with a scaled "
        "loss; weights stay float32",
    )
    compile: bool = setting(False, kind="machine", text="blocks are compiled by torch.compile; needs a compiler")
    prefetch_batches: int = setting(
        2, ge=0, kind="machine", text="batches made ahead in a thread; 0 makes each one in its step"
    )
    made_data: bool = setting(
        False, text="train on random ids that cost nothing to load: shows what the loader costs, and learns nothing"
    )
    max_bad_steps: int = setting(
        5,
        ge=0,
        unit="steps",
        kind="budget",
        text="steps in a row that may have no finite loss and gradient, and are skipped, before the run stops",
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
    alarms: bool = setting(
        True, kind="machine", text="watch for losses, norms and outputs that are not sane, and say so"
    )
    stuck_after_sec: float = setting(
        600.0,
        ge=0,
        unit="seconds",
        kind="machine",
        text="a step that takes longer writes the stack of every thread into its log; 0 for never",
    )
    profile: bool = setting(False, kind="machine", text="write a trace of a step after each start into profile/")
    show_syncs: bool = setting(
        False, kind="machine", text="write where a step makes the CPU wait for the device into profile/"
    )
    device: str = setting("cpu", kind="machine", min_length=1, text="where it computes: cpu, cuda, cuda:1, mps")
    shard: Literal["replicate", "shard"] = setting(
        "replicate",
        kind="machine",
        text="on several devices, whether each holds the whole model, or a part of every weight, gradient and moment",
    )
    rank_timeout_minutes: float = setting(
        30.0,
        gt=0,
        unit="minutes",
        kind="machine",
        text="on several devices, how long one waits for a message of another before it gives up",
    )


class StartSettings(Settings):
    """The weights that training starts from, and which of them it changes."""

    model: str | None = setting(
        None,
        kind="machine",
        min_length=1,
        text="folder of a model, or a run, whose weights training starts from; null for fresh ones",
    )
    digest: str = setting("", text="digest of these weights; it is found by itself, and held against the folder later")
    trains: Literal["all", "last_block", "head", "lora"] = setting(
        "all",
        text="weights that change: all, the last block and the head, the head alone, or small adapters of linear "
        "layers while the rest stays",
    )
    lora_rank: int | None = setting(
        None, ge=1, text="rank of an adapter; null for the highest up to 16 that keeps them below 1 % of the model"
    )
    lora_targets: tuple[str, ...] = setting(
        ("attention",), min_length=1, text="parts of names of the linear layers that get an adapter"
    )
    partial: bool = setting(
        False, text="take over what fits by name and shape, list the rest, and begin that afresh; else all must fit"
    )

    @model_validator(mode="after")
    def _check_model(self) -> "StartSettings":
        if self.trains != "all" and self.model is None:
            raise ValueError(f"trains = {self.trains!r}: only with weights to start from; give start.model=FOLDER")
        return self
