"""Scoring the validation split, and keeping the best models by it. The test split is never opened here."""

from typing import Any

import torch

from etude.model_folder import load, save_model
from etude.runs.run import Run
from etude.training.checkpoint import TrainState


def evaluate(run: Run, parts: Any, state: TrainState, facts: dict[str, Any]) -> dict[str, float]:
    """Score the model, log the numbers, and save it when it is the best so far.

    The best by loss and the best by accuracy are model folders of their own, ``best/loss`` and
    ``best/accuracy``.

    Args:
        run: the open run.
        parts: the training's model, task, tokenizer and autocast.
        state: counters and best values; updated.
        facts: what the model's card says of its origin.

    Returns:
        Numbers by name: ``nats_per_token, nats_per_note, nats_per_sec, accuracy``.
    """
    parts.model.eval()
    with torch.inference_mode(), parts.autocast():
        valid = parts.task.evaluate(parts.model)
    parts.model.train()
    run.log("valid", state.step, valid)
    card = facts | {"step": state.step, "valid": valid}
    if state.best_loss is None or valid["nats_per_token"] < state.best_loss:
        state.best_loss = valid["nats_per_token"]
        save_model(run.path / "best" / "loss", parts.model, parts.tokenizer, card)
    if state.best_accuracy is None or valid["accuracy"] > state.best_accuracy:
        state.best_accuracy = valid["accuracy"]
        save_model(run.path / "best" / "accuracy", parts.model, parts.tokenizer, card)
    return valid


def play_samples(run: Run, parts: Any, step: int, count: int) -> None:
    """Let the best model so far play into ``samples/``; the takes' recipes are replayable while it is the best."""
    if count:
        for take in parts.task.show(load(run.path, device=str(parts.device)), count):
            take.save(run.path / "samples", f"step-{step:08d}-seed-{take.recipe['seed']}")
