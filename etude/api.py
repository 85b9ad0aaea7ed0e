"""``etude.train``: what the command ``etude train RECIPE`` does, as a function with the same words."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etude.config import RunConfig
from etude.recipes import resolve
from etude.training.train import Trained
from etude.training.train import train as train_config


def train(
    recipe: str | RunConfig,
    corpus: Path | str = "sampler",
    *,
    runs_dir: Path | str | None = None,
    on_step: Callable[[dict[str, Any]], None] = lambda numbers: None,
    **overrides: Any,
) -> Trained:
    """Train the model of a recipe, or go on with its run where it stopped.

    Args:
        recipe: a name from ``etude recipes``, or a whole configuration.
        corpus: a corpus folder, or ``sampler`` for the built-in one.
        runs_dir: the folder of runs; by default ``ETUDE_RUNS`` or ``runs``.
        on_step: called after each step with ``step, seconds, loss, lr, tokens_per_sec``.
        overrides: presets by section, settings by dotted name: ``model="small"``, ``**{"train.num_steps": 200}``.

    Raises:
        EtudeError: whatever ``etude train`` refuses.
    """
    if isinstance(recipe, RunConfig):
        return train_config(recipe, runs_dir=runs_dir, on_step=on_step)
    # JSON is YAML, which is how the command line reads a value
    words = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in overrides.items()]
    config = resolve(recipe, [f"data.corpus={corpus}", *words])
    origin = {"recipe": recipe, "overrides": tuple(words)}
    return train_config(config, runs_dir=runs_dir, origin=origin, on_step=on_step)
