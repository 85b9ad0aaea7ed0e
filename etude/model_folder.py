"""A model and everything needed to use it, in one folder.

    config.json          model settings, vocabulary size, where it was trained, measured numbers
    model.safetensors    weights, float32
    tokenizer.json       the tokenizer, sealed with its hash
    README.md            the card: data and licences, numbers, how to use it

``load`` takes such a folder, a run (then its ``best/loss``), or the id of a run. Nothing in a folder is
executed.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from etude import __version__
from etude.errors import ModelError, RunError
from etude.files import draft_folder, sha256_of_file, write_json, write_text
from etude.generate.sample import Length, Sampling
from etude.generate.takes import Request, Take, make_takes
from etude.models import build_model, model_settings
from etude.music.score import Score
from etude.runs.find import find_run, runs_root
from etude.tokens import tokenizer_from_json

SCHEMA = "etude-model"
VERSION = 1


@dataclass(frozen=True)
class Model:
    """A trained network with its tokenizer and card.

    Args:
        network: in evaluation mode.
        tokenizer: what it was trained with.
        config: the folder's ``config.json``.
        path: the folder.
        digest: 16 hex digits of the weights' SHA-256; takes carry it.
    """

    network: torch.nn.Module
    tokenizer: Any
    config: dict[str, Any]
    path: Path
    digest: str

    @property
    def name(self) -> dict[str, str]:
        """What a take's recipe says of the model."""
        return {"path": str(self.path), "digest": self.digest}

    def generate(
        self,
        n: int = 1,
        *,
        seconds: float | None = None,
        tokens: int | None = None,
        until_end: bool = False,
        prompt: Score | None = None,
        seed: int = 0,
        sampling: Sampling | None = None,
        exact: bool = False,
        on_tokens: Callable[[int], None] | None = None,
    ) -> list[Take]:
        """Generate ``n`` takes; take k has the seed ``seed + k``.

        Args:
            n: number of takes.
            seconds: length of the new music.
            tokens: number of new ids; with neither, the model ends the piece itself.
            until_end: let the model end before the limit.
            prompt: music to continue.
            seed: seed of the first take.
            sampling: how ids are drawn.
            exact: batch-invariant float32: take k equals the same take alone.
            on_tokens: called with the number of positions done.

        Raises:
            ModelError: ``n`` is below 1.
        """
        if n < 1:
            raise ModelError(f"n = {n}: expected 1 take or more")
        prompt_ids = () if prompt is None else tuple(self.tokenizer.encode(prompt).tolist())
        request = Request(
            prompt_ids=prompt_ids,
            seeds=tuple(range(seed, seed + n)),
            sampling=sampling or Sampling(),
            length=Length(seconds=seconds, tokens=tokens, until_end=until_end),
            exact=exact,
        )
        return make_takes(self.network, self.tokenizer, request, model=self.name, on_tokens=on_tokens)


def save_model(folder: Path | str, network: torch.nn.Module, tokenizer: Any, facts: dict[str, Any]) -> Path:
    """Write a model folder, whole or not at all.

    Args:
        folder: where; a model that stood there is replaced.
        network: weights are written in their own precision.
        tokenizer: what it was trained with.
        facts: what the card says: ``run``, ``step``, ``corpus``, ``licences``, ``valid``.
    """
    config = {
        "schema": SCHEMA,
        "version": VERSION,
        "etude": __version__,
        "model": network.settings.plain(),
        "vocab_size": tokenizer.vocab_size,
        "tokenizer_hash": tokenizer.hash,
    } | facts
    with draft_folder(folder) as draft:
        weights = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
        save_file(weights, draft / "model.safetensors")
        write_json(draft / "config.json", config)
        write_json(draft / "tokenizer.json", tokenizer.to_json())
        write_text(draft / "README.md", _card(config, sum(p.numel() for p in network.parameters())))
    return Path(folder)


def load(path: Path | str, *, device: str = "cpu") -> Model:
    """Load a model folder, the best model of a run, or of a run known by its id.

    Args:
        path: a folder or the beginning of a run's id.
        device: where the network goes.

    Raises:
        ModelError: nothing there, damaged, or not made by this version's schema.
    """
    folder = _resolve(Path(path))
    try:
        config = json.loads((folder / "config.json").read_text())
        tokenizer_values = json.loads((folder / "tokenizer.json").read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: damaged model folder: {error}") from None
    if config.get("schema") != SCHEMA or config.get("version") != VERSION:
        raise ModelError(
            f"{folder}: schema {config.get('schema')} version {config.get('version')}: "
            f"this Etude reads {SCHEMA} version {VERSION}"
        )
    tokenizer = tokenizer_from_json(tokenizer_values)
    if tokenizer.hash != config["tokenizer_hash"]:
        raise ModelError(
            f"{folder}: trained with tokenizer {config['tokenizer_hash']}, tokenizer.json is {tokenizer.hash}; "
            "copy the whole folder"
        )
    network = build_model(model_settings(config["model"]), config["vocab_size"])
    weights_path = folder / "model.safetensors"
    try:
        network.load_state_dict(load_file(weights_path), strict=True)
    except Exception as error:
        raise ModelError(f"{weights_path}: does not hold this model's weights: {str(error).splitlines()[0]}") from None
    network = network.to(device).eval()
    return Model(network, tokenizer, config, folder, sha256_of_file(weights_path)[:16])


def _resolve(path: Path) -> Path:
    if (path / "model.safetensors").is_file():
        return path
    run = path
    if not path.is_dir():
        try:
            run = find_run(str(path), runs_root()).path
        except RunError as error:
            raise ModelError(f"{path}: no such model folder or run; {error}") from None
    best = run / "best" / "loss"
    if (best / "model.safetensors").is_file():
        return best
    raise ModelError(f"{run}: holds no model; expected model.safetensors, or best/loss of a run that was evaluated")


def _card(config: dict[str, Any], num_parameters: int) -> str:
    valid = config.get("valid", {})
    numbers = "\n".join(f"| {name} | {value:.4f} |" for name, value in valid.items() if isinstance(value, float))
    licences = "\n".join(f"- {name}: {count} pieces" for name, count in sorted(config.get("licences", {}).items()))
    return f"""# A {config["model"]["kind"]} trained with Etude {config["etude"]}

{num_parameters:,} parameters, vocabulary of {config["vocab_size"]} ids (tokenizer {config["tokenizer_hash"]}).
Run {config.get("run", "unknown")}, step {config.get("step", 0)}.

## Data

Corpus digest {config.get("corpus", "unknown")}. Licences of the pieces it was trained on:

{licences or "- not recorded"}

## Measured on the validation split

| number | value |
|---|---|
{numbers}

## Use

    etude generate PATH_TO_THIS_FOLDER --seconds 30 -n 4
"""
