"""Scoring the validation split, and keeping the best models by it. The test split is never opened here."""

from pathlib import Path
from typing import Any

import torch

from etude.model_folder import load, save_model
from etude.runs.run import Run
from etude.training.spread import whole_weights
from etude.training.state import TrainState


def evaluate(run: Run, parts: Any, state: TrainState, facts: dict[str, Any]) -> dict[str, float]:
    """Score the model, log the numbers, and save it when it is the best so far.

    The best by loss and the best by accuracy are model folders of their own, ``best/loss`` and
    ``best/accuracy``.

    Several ranks score a share each; the first one writes.

    Args:
        run: the open run.
        parts: the training's model, task, tokenizer, autocast and ranks.
        state: counters and best values; updated.
        facts: what the model's card says of its origin.

    Returns:
        Numbers by name: ``nats_per_token, nats_per_note, nats_per_sec, accuracy``.
    """
    ranks = parts.ranks
    parts.model.eval()
    # not inference_mode: weights that are gathered in it could not be trained after
    with torch.no_grad(), parts.autocast():
        if ranks.is_alone:
            valid = parts.task.evaluate(parts.model)
        else:
            valid = parts.task.evaluate(parts.model, rank=ranks.rank, num_ranks=ranks.size, add_up=ranks.total)
    parts.model.train()
    run.log("valid", state.step, valid)
    card = facts | {"step": state.step, "valid": valid}
    if state.best_loss is None or valid["nats_per_token"] < state.best_loss:
        state.best_loss = valid["nats_per_token"]
        _save_best(run.path / "best" / "loss", parts, card)
    if state.best_accuracy is None or valid["accuracy"] > state.best_accuracy:
        state.best_accuracy = valid["accuracy"]
        _save_best(run.path / "best" / "accuracy", parts, card)
    return valid


def _save_best(folder: Path, parts: Any, card: dict[str, Any]) -> None:
    """Write a model folder of the weights as they are trained, in float32; shared-out ones are gathered first."""
    weights = whole_weights(parts.model, parts.ranks)
    if parts.ranks.is_first:
        save_model(folder, parts.model, parts.tokenizer, card, weights=weights)


def play_samples(run: Run, parts: Any, step: int, count: int) -> None:
    """Let the best model so far play into ``samples/``; the takes' recipes are replayable while it is the best."""
    if count and parts.ranks.is_first:
        for take in parts.task.show(load(run.path, device=str(parts.device)), count):
            take.save(run.path / "samples", f"step-{step:08d}-seed-{take.recipe['seed']}")
