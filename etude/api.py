"""``etude.train`` and ``etude.finetune``: what the commands do, as functions with the same words."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etude.config import RunConfig
from etude.data.midi_folder import corpus_of
from etude.model_folder import model_path, read_config
from etude.models import model_settings
from etude.recipes import PRESETS, resolve
from etude.recipes.finetuning import finetuning, with_conditions
from etude.recipes.resolve import override
from etude.runs.find import runs_root
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
    words = _as_typed(overrides)
    config = resolve(recipe, [f"data.corpus={corpus}", *words])
    origin = {"recipe": recipe, "overrides": tuple(words)}
    return train_config(config, runs_dir=runs_dir, origin=origin, on_step=on_step)


def finetune(
    model: Path | str,
    source: Path | str,
    *,
    trains: str = "all",
    control: tuple[str, ...] = (),
    runs_dir: Path | str | None = None,
    on_step: Callable[[dict[str, Any]], None] = lambda numbers: None,
    **overrides: Any,
) -> Trained:
    """Fine-tune a model on a folder of MIDI or a corpus, or go on where that stopped.

    Args:
        model: a model folder, a run, or the beginning of a run's id.
        source: a folder of MIDI, which is prepared beside the runs, or a corpus.
        trains: ``all``, ``last_block``, ``head`` or ``lora``.
        control: labels, or names of measured attributes, that the model can be asked for afterwards.
        runs_dir: the folder of runs; by default ``ETUDE_RUNS`` or ``runs``.
        on_step: called after each step with ``step, seconds, loss, lr, tokens_per_sec``.
        overrides: settings by dotted name, on top of those that fit the corpus.

    Raises:
        EtudeError: whatever ``etude finetune`` refuses.
    """
    root = runs_root() if runs_dir is None else Path(runs_dir)
    folder = model_path(model)
    described, tokenizer = read_config(folder)
    corpus = corpus_of(source, root / "corpora")
    settings = with_conditions(tokenizer.settings, corpus, control)
    words = _as_typed(overrides)
    config = finetuning(model_settings(described["model"]), settings, corpus, start=str(folder), trains=trains)
    origin = {"recipe": "finetune", "overrides": tuple(words)}
    return train_config(override(config, words, presets=PRESETS), runs_dir=root, origin=origin, on_step=on_step)


def _as_typed(overrides: dict[str, Any]) -> list[str]:
    """Return settings as they are typed on the command line, where JSON is read as YAML."""
    return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in overrides.items()]
