"""Takes: generated Scores with the recipe that makes them again.

A recipe is JSON beside the ``.mid``: the model and its digest, the prompt's ids, sampling, length, the
seeds of the whole batch and the place in it, device, dtype and threads. ``replay`` gives the same bytes
on the same kind of device.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from etude.errors import ModelError, SettingsError
from etude.files import write_json
from etude.generate.conditions import told
from etude.generate.sample import Length, Sampling, sample_ids
from etude.music.edit import trim
from etude.music.midi import write_midi
from etude.music.score import Score

SCHEMA = "etude-take"
VERSION = 1


@dataclass(frozen=True)
class Take:
    """One generated piece: its Score, and the recipe that makes it again."""

    score: Score
    recipe: dict[str, Any]

    def save(self, folder: Path | str, name: str) -> tuple[Path, Path]:
        """Write ``name.mid`` and ``name.json`` into a folder; return both paths."""
        midi_path, recipe_path = Path(folder) / f"{name}.mid", Path(folder) / f"{name}.json"
        write_midi(self.score, midi_path)
        write_json(recipe_path, self.recipe)
        return midi_path, recipe_path


def next_number(folder: Path | str) -> int:
    """Return the number after the highest ``take-N`` of a folder, so that no earlier take is written over."""
    numbers = [path.stem.removeprefix("take-") for path in Path(folder).glob("take-*.json")]
    return max((int(number) + 1 for number in numbers if number.isdigit()), default=0)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Everything that decides what a batch of takes will be, the model aside.

    Args:
        prompt_ids: ids of the music to continue, without END; may be empty.
        seeds: one a take.
        sampling: how ids are drawn.
        length: when a take ends.
        exact: the batch-invariant float32 mode.
        attributes: what was asked for, by name; what of it is in a prefix is in the prompt's ids as well.
    """

    prompt_ids: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0,)
    sampling: Sampling = Sampling()
    length: Length = Length()
    exact: bool = False
    attributes: dict[str, str | float | None] = field(default_factory=dict)


def make_takes(
    network: torch.nn.Module,
    tokenizer,
    request: Request,
    *,
    model: dict[str, str],
    on_tokens: Callable[[int], None] | None = None,
) -> list[Take]:
    """Generate one take for each seed of a request.

    Args:
        network: a decoder in evaluation mode.
        tokenizer: what it was trained with.
        request: prompt, seeds, sampling and length.
        model: what the recipe says of the model: ``path`` and ``digest``.
        on_tokens: called with the number of positions done.
    """
    prompt_ids = np.asarray(request.prompt_ids, dtype=np.int32)
    end_sec = None
    if request.length.seconds is not None:
        end_sec = tokenizer.measure(prompt_ids)[1] + request.length.seconds
    end_ids = None if request.length.tokens is None else len(prompt_ids) + request.length.tokens
    with _float32_math(request.exact):
        rows = sample_ids(
            told(network, tokenizer, request.attributes, seconds=end_sec, tokens=end_ids),
            tokenizer,
            prompt_ids=prompt_ids,
            seeds=list(request.seeds),
            sampling=request.sampling,
            length=request.length,
            exact=request.exact,
            on_tokens=on_tokens,
        )
    recipe = {"schema": SCHEMA, "version": VERSION, "model": model, "machine": _machine(network)} | asdict(request)
    recipe["prompt_ids"], recipe["seeds"] = list(request.prompt_ids), list(request.seeds)
    takes = []
    for place, ids in enumerate(rows):
        score = tokenizer.decode(ids)
        if end_sec is not None:
            score = trim(score, 0.0, end_sec)
        takes.append(Take(score, recipe | {"place": place, "seed": request.seeds[place]}))
    return takes


def read_recipe(path: Path | str) -> tuple[dict[str, Any], Request]:
    """Read a take's JSON.

    Returns:
        The recipe as written, and the request that it asks for: the whole batch, or in the exact mode,
        where a take does not depend on its neighbours, the one take.

    Raises:
        SettingsError: the file is missing or is not a take's recipe.
    """
    try:
        recipe = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read as a take's recipe: {error}") from None
    if not isinstance(recipe, dict) or recipe.get("schema") != SCHEMA or recipe.get("version") != VERSION:
        raise SettingsError(
            f"{path}: expected a take's recipe, schema {SCHEMA} version {VERSION}; give the .json beside a take"
        )
    seeds = [recipe["seed"]] if recipe["exact"] else recipe["seeds"]
    request = Request(
        prompt_ids=tuple(recipe["prompt_ids"]),
        seeds=tuple(seeds),
        sampling=Sampling(**recipe["sampling"]),
        length=Length(**recipe["length"]),
        exact=recipe["exact"],
        attributes=recipe.get("attributes", {}),
    )
    return recipe, request


def replay(network: torch.nn.Module, tokenizer, path: Path | str, *, model: dict[str, str]) -> tuple[Take, list[str]]:
    """Make a take again from its recipe.

    Args:
        network: the model that the recipe names.
        tokenizer: its tokenizer.
        path: the take's JSON.
        model: ``path`` and ``digest`` of the model at hand.

    Returns:
        The take, and what differs on this machine from the one that made it, in words; empty when the
        bytes must be the same.

    Raises:
        ModelError: the model at hand has other weights.
    """
    recipe, request = read_recipe(path)
    if recipe["model"]["digest"] != model["digest"]:
        raise ModelError(
            f"{path}: was made by a model with digest {recipe['model']['digest']}, "
            f"{model['path']} has {model['digest']}; give the model it was made with as --model"
        )
    with _threads(recipe["machine"]["threads"]):
        machine = _machine(network)
        takes = make_takes(network, tokenizer, request, model=recipe["model"])
    differences = [
        f"{name} was {value}, is {machine[name]}"
        for name, value in recipe["machine"].items()
        if machine.get(name) != value
    ]
    take = takes[0 if request.exact else recipe["place"]]
    return Take(take.score, take.recipe | {"seeds": recipe["seeds"], "place": recipe["place"]}), differences


@contextlib.contextmanager
def _float32_math(exact: bool) -> Iterator[None]:
    """In the exact mode, float32 without reduced-precision shortcuts; otherwise nothing."""
    was = torch.get_float32_matmul_precision()
    if exact:
        torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(was)


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with as many threads as the recipe: sums are cut differently with another number."""
    was = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(was)


def _machine(network: torch.nn.Module) -> dict[str, Any]:
    weight = next(network.parameters())
    return {
        "device": weight.device.type,
        "dtype": str(weight.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
