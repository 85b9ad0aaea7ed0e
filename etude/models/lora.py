"""Adapters: a model learns through a few small matrices while its own weights stay as they are.

A linear layer W gets a product of two thin matrices beside it, (W + B A) x, which begins at zero; a table that has
got new rows learns these alone. All else is frozen.

    P.base     W, frozen               P.base     the table, frozen
    P.lora_a   A, rank x inputs        P.added    rows that are learned
    P.lora_b   B, outputs x rank       P.places   which rows of the table they are

Where other programs scale the product by alpha / rank, this factor is 1 here: the learning rate says as much.
``merged_state`` gives the weights that a plain model of the same settings has to have for the same results.

Source:
    Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models, section 4.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.errors import ModelError

LEARNED = ("lora_a", "lora_b", "added")
"""Last parts of the names of what an adapter learns."""

_LARGEST_RANK, _SHARE = 16, 0.009  # below 1 %, with room for the names in the file


class LoraLinear(nn.Module):
    """A frozen linear layer with a learned product beside it.

    ``weight`` is the sum of both, for code that takes a layer's weight itself.
    """

    def __init__(self, linear: nn.Linear, rank: int):
        super().__init__()
        self.base = linear.weight
        self.bias = linear.bias
        like = {"device": self.base.device, "dtype": self.base.dtype}
        self.lora_a = nn.Parameter(torch.empty(rank, linear.in_features, **like))
        self.lora_b = nn.Parameter(torch.zeros(linear.out_features, rank, **like))
        nn.init.normal_(self.lora_a, std=linear.in_features**-0.5)

    @property
    def weight(self) -> Tensor:
        """What the layer multiplies by, (outputs, inputs)."""
        return self.base + self.lora_b @ self.lora_a

    def forward(self, x: Tensor) -> Tensor:
        """Transform the last axis."""
        return F.linear(x, self.base, self.bias) + F.linear(F.linear(x, self.lora_a), self.lora_b)


class GrownTable(nn.Module):
    """A frozen table of which some rows are learned: of an embedding, or of a head."""

    def __init__(self, layer: nn.Embedding | nn.Linear, places: Tensor):
        super().__init__()
        self.base = layer.weight
        self.bias = getattr(layer, "bias", None)
        self.added = nn.Parameter(layer.weight.detach()[places].clone())
        self.register_buffer("places", places)
        self._looks_up = isinstance(layer, nn.Embedding)

    @property
    def weight(self) -> Tensor:
        """The whole table, (rows, width)."""
        return self.base.index_copy(0, self.places, self.added)

    def forward(self, x: Tensor) -> Tensor:
        """Return rows for ids, or products with all rows for states."""
        return F.embedding(x, self.weight) if self._looks_up else F.linear(x, self.weight, self.bias)


def add_adapters(model: nn.Module, *, rank: int | None, targets: Sequence[str], new_rows: Tensor | None = None) -> None:
    """Freeze a model and give its linear layers adapters that learn, in place.

    Args:
        model: with its weights loaded.
        rank: of every adapter; None for the highest that stays below 1 % of the model, 16 at most, 1 at least.
        targets: a linear layer gets an adapter if one of these is a part of its dotted name.
        new_rows: ids that are new in the vocabulary, int64: their rows of embedding and head are learned too.

    Raises:
        ModelError: no linear layer has such a name.
    """
    layers = list(_layers_named(model, targets))
    if not layers:
        known = sorted({name.split(".")[2] for name, _ in _layers_named(model, ("blocks.",)) if name.count(".") > 2})
        raise ModelError(f"start.lora_targets = {list(targets)}: no linear layer is named so; there are {known}")
    chosen = rank or _rank_within(model, [layer for _, layer in layers])
    model.requires_grad_(False)
    for name, layer in layers:
        _replace(model, name, LoraLinear(layer, chosen))


def learn_rows(model: nn.Module, places: Tensor) -> None:
    """Let some rows of a frozen model's embedding and head learn, in place: those of ids that are new to it.

    Args:
        model: frozen, but for what is trained anyway.
        places: ids, int64; with none, nothing changes.
    """
    frozen = [name for name, layer in model.named_modules() if _is_frozen_table(layer, model.vocab_size)]
    for name in frozen if len(places) else ():
        layer = model.get_submodule(name)
        _replace(model, name, GrownTable(layer, places.to(layer.weight.device).clone()))


def has_adapters(model: nn.Module) -> bool:
    """Tell whether a model learns through adapters."""
    return any(isinstance(layer, LoraLinear) for layer in model.modules())


def adapter_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the part of a ``state_dict`` that adapters hold, and nothing of the model's own weights."""
    return {name: value for name, value in state.items() if name.rpartition(".")[2] in (*LEARNED, "places")}


def merged_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a ``state_dict`` with adapters as that of the plain model; one without adapters as it is."""
    merged = {}
    for name, value in state.items():
        layer, _, last = name.rpartition(".")
        if last == "base":
            merged[f"{layer}.weight"] = _merged(value, layer, state)
        elif last not in (*LEARNED, "places"):
            merged[name] = value
    return merged


def with_adapters(state: dict[str, Tensor], adapters: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the ``state_dict`` of a plain model with adapters merged into it.

    Args:
        state: of the model that the adapters were learned on; a table may have fewer rows than it is to get.
        adapters: what ``adapter_state`` returned.

    Raises:
        ModelError: an adapter is of a layer that is not there, or of another shape.
    """
    result = dict(state)
    for layer in sorted({name.rpartition(".")[0] for name in adapters}):
        name = f"{layer}.weight"
        if name not in state:
            raise ModelError(f"an adapter of {layer!r}: the model has no such layer; it was learned on another model")
        try:
            result[name] = _merged(_with_room(state[name], layer, adapters), layer, adapters)
        except RuntimeError:
            raise ModelError(f"an adapter of {layer!r}: of another shape; it was learned on another model") from None
    return result


def with_own_head(state: dict[str, Tensor], has_head: bool) -> dict[str, Tensor]:
    """Return a ``state_dict`` with a copy of the embedding as the head, for a model that has one where it had none."""
    if has_head and "head.weight" not in state and "embedding.weight" in state:
        return state | {"head.weight": state["embedding.weight"]}
    return state


def _merged(base: Tensor, layer: str, parts: dict[str, Tensor]) -> Tensor:
    if f"{layer}.lora_a" in parts:
        return base + (parts[f"{layer}.lora_b"] @ parts[f"{layer}.lora_a"]).to(base.dtype)
    return base.index_copy(0, parts[f"{layer}.places"], parts[f"{layer}.added"])


def _with_room(table: Tensor, layer: str, parts: dict[str, Tensor]) -> Tensor:
    """Return a table long enough for its new rows."""
    if f"{layer}.places" not in parts:
        return table
    missing = int(parts[f"{layer}.places"].max()) + 1 - len(table)
    return table if missing <= 0 else torch.cat([table, table.new_zeros(missing, *table.shape[1:])])


def _layers_named(model: nn.Module, targets: Sequence[str]) -> Iterator[tuple[str, nn.Linear]]:
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and any(target in name for target in targets):
            yield name, layer


def _is_frozen_table(layer: nn.Module, vocab_size: int) -> bool:
    is_table = isinstance(layer, (nn.Embedding, nn.Linear)) and len(layer.weight) == vocab_size
    return is_table and not layer.weight.requires_grad


def _rank_within(model: nn.Module, layers: list[nn.Linear]) -> int:
    of_rank_1 = sum(layer.in_features + layer.out_features for layer in layers)
    weights = sum(weight.numel() for weight in model.parameters())
    return max(1, min(_LARGEST_RANK, int(_SHARE * weights / of_rank_1)))


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)
