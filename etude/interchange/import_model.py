"""From a file of published weights to a model folder, with nothing left out in silence."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from etude.errors import ModelError
from etude.files import sha256_of_file
from etude.interchange import IMPORTERS, Imported, function_of
from etude.interchange.card import card_of_import
from etude.interchange.places import check_place
from etude.model_folder import save_model
from etude.models import build_model


def import_model(
    system: str, path: Path | str, out: Path | str, *, without: Sequence[str] = (), **told: Any
) -> dict[str, Any]:
    """Read published weights and write them as a model folder.

    Args:
        system: a name in ``IMPORTERS``.
        path: a file of weights, or a folder as the Hub has it.
        out: the model folder to write; a model that stands there is replaced, anything else is not.
        without: tensors of the file to leave out, by name; any other that the model has no place for is an error.
        told: what the file does not tell, such as ``num_heads``; only what the system's importer takes.

    Returns:
        ``path, system, parameters, vocab_size, tokenizer, settings, left_out``.

    Raises:
        ModelError: an unknown system, no place to write to, or weights that are not such a model's; every tensor that
            is missing, of another shape or without a place is named.
    """
    read = function_of(system, IMPORTERS, what="system")
    if foreign := sorted(set(told) - set(inspect.signature(read).parameters)):
        raise ModelError(f"{system}: its files tell {' and '.join(foreign)} themselves; leave it out")
    path = Path(path)
    check_place(out, path)
    imported = read(path, **told)
    _refuse_unread(path, imported, without)
    with torch.device("meta"):
        network = build_model(imported.settings, imported.tokenizer.vocab_size)
    network.load_state_dict(imported.state_dict, strict=True, assign=True)
    origin = {"system": system, **_file_of(path), "left_out": list(without), **imported.facts}
    card = card_of_import(origin, network, imported.tokenizer)
    save_model(out, network, imported.tokenizer, {"imported": origin}, card=card)
    return {
        "path": str(out),
        "system": system,
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "vocab_size": imported.tokenizer.vocab_size,
        "tokenizer": imported.tokenizer.kind,
        "settings": imported.settings.plain(),
        "left_out": list(without),
    }


def _refuse_unread(path: Path, imported: Imported, without: Sequence[str]) -> None:
    unread = set(imported.unread)
    if wrong := sorted(set(without) - unread):
        raise ModelError(
            f"{path}: {', '.join(wrong)}: cannot be left out; what has no place: {sorted(unread) or 'nothing'}"
        )
    if left := sorted(unread - set(without)):
        raise ModelError(
            f"{path}: {len(left)} tensors that this model has no place for: {', '.join(left)}; "
            "name each with --without to go on without them"
        )


def _file_of(path: Path) -> dict[str, str]:
    """Return the name of what was read and, of a single file, its digest; no folder of this machine."""
    name = path.resolve().name
    return {"file": name} | ({"sha256": sha256_of_file(path)} if path.is_file() else {})
