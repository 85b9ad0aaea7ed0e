"""A model and everything needed to use it, in one folder.

    config.json          model settings, vocabulary size, where it was trained, measured numbers
    model.safetensors    weights, float32
    tokenizer.json       the tokenizer, sealed with its hash
    README.md            the card: data and licences, numbers, how to use it
    adapter/             of a model that learned through adapters: these alone, to be laid on its base again

An adapter folder has ``adapter.safetensors`` in place of ``model.safetensors``, and names the weights that it was
learned on. ``load`` takes a model folder, an adapter folder whose base is where it was, a run (then its
``best/loss``), or the id of a run. Nothing in a folder is executed.
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
from etude.generate.conditions import Asked, asked_of
from etude.generate.sample import Length, Sampling
from etude.generate.takes import Request, Take, make_takes
from etude.model_card import model_card
from etude.models import build_model, model_settings
from etude.models.lora import adapter_state, has_adapters, merged_state, with_adapters, with_own_head
from etude.music.score import Score
from etude.runs.find import find_run, runs_root
from etude.tokens import tokenizer_from_json

SCHEMA = "etude-model"
ADAPTER_SCHEMA = "etude-adapter"
VERSION = 1
_WEIGHTS, _ADAPTER = "model.safetensors", "adapter.safetensors"


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
        prompt: Score | None = None,
        attributes: Asked | None = None,
        seed: int = 0,
        sampling: Sampling | None = None,
        exact: bool = False,
        on_tokens: Callable[[int], None] | None = None,
        **length: Any,
    ) -> list[Take]:
        """Generate ``n`` takes; take k has the seed ``seed + k``.

        Args:
            n: number of takes.
            prompt: music to continue.
            attributes: what the piece is to be, values by name, of what the model was trained with: the attributes of
                its tokenizer's prefix, and its own conditions; what is left out may be anything.
            seed: seed of the first take.
            sampling: how ids are drawn.
            exact: batch-invariant float32: take k equals the same take alone.
            on_tokens: called with the number of positions done.
            length: ``seconds`` of the new music or number of new ``tokens``, with neither the model ends the piece
                itself; ``until_end=True`` lets it end before the limit.

        Raises:
            ModelError: ``n`` is below 1.
            SettingsError: an attribute or a value that the model was not trained with.
        """
        if n < 1:
            raise ModelError(f"n = {n}: expected 1 take or more")
        prompt_ids = () if prompt is None else tuple(self.tokenizer.encode(prompt).tolist())
        if attributes is None and self.config.get("task") == "controlled":
            # its pieces all began with a prefix, and it never learned to write one
            attributes = {}
        if attributes is not None:
            prefix, attributes = asked_of(self.tokenizer, self.network.settings, attributes)
            prompt_ids = (*prefix.tolist(), *prompt_ids)
        request = Request(
            prompt_ids=prompt_ids,
            attributes=attributes or {},
            seeds=tuple(range(seed, seed + n)),
            sampling=sampling or Sampling(),
            length=Length(**length),
            exact=exact,
        )
        return make_takes(self.network, self.tokenizer, request, model=self.name, on_tokens=on_tokens)


def save_model(
    folder: Path | str,
    network: torch.nn.Module,
    tokenizer: Any,
    facts: dict[str, Any],
    *,
    card: str | None = None,
    weights: dict[str, torch.Tensor] | None = None,
) -> Path:
    """Write a model folder, whole or not at all.

    Args:
        folder: where; a model that stood there is replaced.
        network: weights are written in their own precision.
        tokenizer: what it was trained with.
        facts: what the card says: ``run``, ``step``, ``corpus``, ``licences``, ``valid``.
        card: the text of another card, for weights that were not trained here.
        weights: all of the network's weights by name, if it holds only a part of them itself.
    """
    config = {
        "schema": SCHEMA,
        "version": VERSION,
        "etude": __version__,
        "model": network.settings.plain(),
        "vocab_size": tokenizer.vocab_size,
        "tokenizer_hash": tokenizer.hash,
    } | facts
    state = {name: tensor.detach().contiguous() for name, tensor in (weights or network.state_dict()).items()}
    weights = merged_state(state)
    card = card or model_card(config, sum(weight.numel() for weight in weights.values()))
    with draft_folder(folder) as draft:
        _write(draft, _WEIGHTS, weights, config, tokenizer, card)
        if has_adapters(network):
            # the adapters' own file: small enough to send, and nothing without its base
            (draft / "adapter").mkdir()
            own = config | {"schema": ADAPTER_SCHEMA}
            _write(draft / "adapter", _ADAPTER, adapter_state(state), own, tokenizer, card)
    return Path(folder)


def _write(draft: Path, name: str, weights: dict, config: dict[str, Any], tokenizer: Any, card: str) -> None:
    save_file(weights, draft / name)
    write_json(draft / "config.json", config)
    write_json(draft / "tokenizer.json", tokenizer.to_json())
    write_text(draft / "README.md", card)


@dataclass(frozen=True)
class Saved:
    """What a folder holds: its ``config.json``, its tokenizer, the weights of a plain model, and their digest."""

    folder: Path
    config: dict[str, Any]
    tokenizer: Any
    weights: dict[str, torch.Tensor]
    digest: str


def load(path: Path | str, *, device: str = "cpu", base: Path | str | None = None) -> Model:
    """Load a model folder, the best model of a run, or of a run known by its id.

    Args:
        path: a folder or the beginning of a run's id.
        device: where the network goes.
        base: the model that an adapter folder is laid on; by default the one it was learned on, if it is still there.

    Raises:
        ModelError: nothing there, damaged, or not made by this version's schema.
    """
    saved = open_folder(path, base=base)
    network = build_model(model_settings(saved.config["model"]), saved.config["vocab_size"])
    try:
        network.load_state_dict(saved.weights, strict=True)
    except Exception as error:
        raise ModelError(f"{saved.folder}: does not hold this model's weights: {str(error).splitlines()[0]}") from None
    return Model(network.to(device).eval(), saved.tokenizer, saved.config, saved.folder, saved.digest)


def open_folder(path: Path | str, *, base: Path | str | None = None) -> Saved:
    """Read a model folder without building the model; arguments and errors as ``load``."""
    folder = model_path(path)
    config, tokenizer = read_config(folder)
    if (folder / _WEIGHTS).is_file():
        weights = _read_weights(folder / _WEIGHTS)
    else:
        weights = _laid_on_base(folder, config, _read_weights(folder / _ADAPTER), base)
    return Saved(folder, config, tokenizer, weights, digest_of(folder))


def read_config(folder: Path) -> tuple[dict[str, Any], Any]:
    """Return what a model folder says of itself, without its weights: ``config.json``, and the tokenizer.

    Raises:
        ModelError: damaged, or not made by this version's schema.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
        tokenizer_values = json.loads((folder / "tokenizer.json").read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: damaged model folder: {error}") from None
    schema = SCHEMA if (folder / _WEIGHTS).is_file() else ADAPTER_SCHEMA
    if config.get("schema") != schema or config.get("version") != VERSION:
        raise ModelError(
            f"{folder}: schema {config.get('schema')} version {config.get('version')}: "
            f"this Etude reads {schema} version {VERSION}"
        )
    tokenizer = tokenizer_from_json(tokenizer_values)
    if tokenizer.hash != config["tokenizer_hash"]:
        raise ModelError(
            f"{folder}: trained with tokenizer {config['tokenizer_hash']}, tokenizer.json is {tokenizer.hash}; "
            "copy the whole folder"
        )
    return config, tokenizer


def digest_of(folder: Path) -> str:
    """Return what stands for the weights of a model folder, 16 hex digits."""
    weights = folder / _WEIGHTS
    return sha256_of_file(weights if weights.is_file() else folder / _ADAPTER)[:16]


def model_path(path: Path | str) -> Path:
    """Return the model folder that a path, a run's folder or the beginning of a run's id means.

    Raises:
        ModelError: there is none.
    """
    path = Path(path)
    if (path / _WEIGHTS).is_file() or (path / _ADAPTER).is_file():
        return path
    run = path
    if not path.is_dir():
        try:
            run = find_run(str(path), runs_root()).path
        except RunError as error:
            raise ModelError(f"{path}: no such model folder or run; {error}") from None
    best = run / "best" / "loss"
    if (best / _WEIGHTS).is_file():
        return best
    raise ModelError(f"{run}: holds no model; expected model.safetensors, or best/loss of a run that was evaluated")


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except Exception as error:
        raise ModelError(f"{path}: does not hold this model's weights: {str(error).splitlines()[0]}") from None


def _laid_on_base(folder: Path, config: dict, adapters: dict, base: Path | str | None) -> dict[str, torch.Tensor]:
    """Return the weights of the model that an adapter was learned on, with the adapter merged into them."""
    wanted = config["start"]
    where = base or wanted["model"]
    try:
        found = model_path(where)
    except ModelError:
        raise ModelError(
            f"{folder}: an adapter, learned on weights {wanted['digest']} that are no longer at {where}; "
            "name their folder: etude merge ADAPTER OUT --base MODEL"
        ) from None
    if digest_of(found) != wanted["digest"]:
        raise ModelError(
            f"{folder}: an adapter of weights {wanted['digest']}; {found} holds {digest_of(found)}: give the model "
            "that it was learned on"
        )
    is_tied = config["model"].get("tied", False)
    return with_adapters(with_own_head(open_folder(found).weights, not is_tied), adapters)
