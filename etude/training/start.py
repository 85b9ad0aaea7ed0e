"""What training starts from: weights of another model, taken over row by row where the vocabulary has grown.

Rows of embedding and head belong to ids, and ids to names: a tokenizer with control tokens or merges on top of the
old one keeps the rows of the old names, and its new ids begin as the mean of all old rows. A tokenizer of other
settings gives the same names other meanings, so its rows are taken over only when that is asked for.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from etude.config import RunConfig
from etude.errors import ModelError
from etude.model_folder import digest_of, model_path, open_folder, read_config
from etude.models.lora import add_adapters, learn_rows, with_own_head

_LISTED = 12

Say = Callable[[str], None]


def pin_start(config: RunConfig) -> RunConfig:
    """Return the configuration with the digest of the weights it starts from, which is part of a run's identity.

    Raises:
        ModelError: the folder does not hold a model, or holds other weights than the run was started with.
    """
    start = config.start
    if start.model is None:
        return config
    found = digest_of(model_path(start.model))
    if start.digest and start.digest != found:
        raise ModelError(
            f"start.model = {start.model!r}: holds weights {found}, and the run started from {start.digest}; "
            "name the folder where those are, or leave start.digest out for a new run"
        )
    return config.replace(start=start.replace(digest=found))


def start_facts(config: RunConfig) -> dict[str, Any]:
    """Return what a model's ``config.json`` says of the weights it started from; nothing for fresh ones."""
    start = config.start
    return {} if start.model is None else {"start": {"model": start.model, "digest": start.digest}}


def origin_of(config: RunConfig, origin: dict[str, Any] | None) -> dict[str, Any]:
    """Return what ``open_run`` records of where a run came from: its parent is the run that trained its weights."""
    origin = origin or {}
    if config.start.model is None or origin.get("parent"):
        return origin
    return origin | {"parent": read_config(model_path(config.start.model))[0].get("run")}


def begin(model: nn.Module, config: RunConfig, tokenizer: Any, *, say: Say = lambda line: None) -> None:
    """Give a fresh model the weights that it starts from, and freeze those that must not change, in place.

    Args:
        model: as ``build_model`` makes it.
        config: its ``start`` says from where, and what is trained.
        tokenizer: of the run.
        say: called with a line for whatever is not simply taken over.

    Raises:
        ModelError: weights that do not fit the model, or a tokenizer whose ids mean something else.
    """
    start = config.start
    if start.model is None:
        return
    saved = open_folder(start.model)
    rows = _old_rows(saved.tokenizer, tokenizer, by_name=start.partial, where=start.model)
    new_ids = torch.nonzero(rows < 0).flatten()
    if len(new_ids):
        say(f"{len(new_ids)} of {len(rows)} ids are new to the model; they begin as the mean of the others")
    old = with_own_head(saved.weights, getattr(model, "head", None) is not None)
    weights = _grown(old, model, rows, saved.config["vocab_size"])
    _load(model, weights, partial=start.partial, where=start.model, say=say)
    _freeze(model, config, new_ids)


def share_trained(model: nn.Module) -> tuple[int, int]:
    """Return how many weights of a model change in training, and how many it has."""
    every = list(model.parameters())
    return sum(weight.numel() for weight in every if weight.requires_grad), sum(weight.numel() for weight in every)


def _old_rows(old: Any, new: Any, *, by_name: bool, where: str) -> Tensor:
    """Return for each id the id of the same name in the model's own vocabulary, -1 if it is new; int64 (V,)."""
    if old.hash == new.hash:
        return torch.arange(new.vocab_size)
    if _innermost(old).hash != _innermost(new).hash and not by_name:
        raise ModelError(
            f"start.model = {where!r}: trained with tokenizer {old.kind} {old.hash}, and the run's is {new.kind} "
            f"{new.hash}, whose ids mean something else; take the model's, or control or bpe on top of it, "
            "or add start.partial=true to take over rows of the same names"
        )
    known = {name: row for row, name in enumerate(old.vocab.names)}
    return torch.tensor([known.get(name, -1) for name in new.vocab.names])


def _innermost(tokenizer: Any) -> Any:
    while (base := getattr(tokenizer, "base", None)) is not None:
        tokenizer = base
    return tokenizer


def _grown(weights: dict[str, Tensor], model: nn.Module, rows: Tensor, old_size: int) -> dict[str, Tensor]:
    """Return weights with a row for every id of the run's vocabulary."""
    result = dict(weights)
    for name, parameter in model.named_parameters():
        old = weights.get(name)
        if old is None or len(old) != old_size or len(parameter) != len(rows) or "blocks." in name:
            continue
        mean = old.double().mean(0, keepdim=True).to(old.dtype)
        result[name] = torch.where((rows >= 0).view(-1, *[1] * (old.ndim - 1)), old[rows.clamp(min=0)], mean)
    return result


class _Fit(NamedTuple):
    """Names of tensors that do not fit, as text."""

    missing: list[str]
    unknown: list[str]
    misshapen: list[str]

    @property
    def words(self) -> list[str]:
        """What does not fit, in words, the first of each kind."""
        kinds = (
            ("not in the folder", self.missing),
            ("not in this model", self.unknown),
            ("of another shape", self.misshapen),
        )
        return [f"{kind}: {_listed(names)}" for kind, names in kinds if names]


def _load(model: nn.Module, weights: dict[str, Tensor], *, partial: bool, where: str, say: Say) -> None:
    own = model.state_dict()
    shaped = {name for name in own if name in weights and weights[name].shape == own[name].shape}
    fit = _Fit(
        missing=sorted(own.keys() - weights.keys()),
        unknown=sorted(weights.keys() - own.keys()),
        misshapen=[
            f"{name} {tuple(weights[name].shape)}, {tuple(own[name].shape)} here"
            for name in sorted(own.keys() & weights.keys() - shaped)
        ],
    )
    if fit.words and not (partial and shaped):
        raise ModelError(
            f"start.model = {where!r}: does not fit: {'; '.join(fit.words)}; give the model the same settings"
            + (", or add start.partial=true to take over the rest" if shaped else "")
        )
    model.load_state_dict({name: weights[name] for name in shaped}, strict=False)
    if fit.words:
        say(f"{len(shaped)} of {len(own)} tensors are taken over from {where}; {'; '.join(fit.words)}")


def _freeze(model: nn.Module, config: RunConfig, new_ids: Tensor) -> None:
    start = config.start
    if start.trains == "all":
        return
    if start.trains == "lora":
        add_adapters(model, rank=start.lora_rank, targets=start.lora_targets)
    else:
        _freeze_body(model, start.trains)
    learn_rows(model, new_ids)


def _freeze_body(model: nn.Module, trains: str) -> None:
    if getattr(model, "head", None) is None:
        raise ModelError(
            f"start.trains = {trains!r}: this model's head is its embedding; add model.tied=false, and the "
            "head begins as a copy of it"
        )
    model.requires_grad_(False)
    model.head.requires_grad_(True)
    if trains == "last_block":
        model.blocks[-1].requires_grad_(True)
        model.norm.requires_grad_(True)


def _listed(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
