"""Recipes: complete configurations by name, and presets for parts of one.

A recipe is a function without arguments that returns a whole ``RunConfig``; its docstring says what it is
for. Somebody else's is named ``their.module:function``. A preset sets a few values of one section, written
``section=preset`` on the command line. To add either, write it and a line here.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from etude.config import RunConfig
from etude.errors import SettingsError, nearest
from etude.recipes import aria, llama, musecoco, music_transformer
from etude.recipes.resolve import override

RECIPES: dict[str, Callable[[], RunConfig]] = {
    "music-transformer-tiny": music_transformer.tiny,
    "music-transformer-small": music_transformer.small,
    "music-transformer-paper": music_transformer.paper,
    "music-transformer-baseline": music_transformer.baseline,
    "music-transformer-classic": music_transformer.classic,
    "llama-tiny": llama.tiny,
    "llama-small": llama.small,
    "aria-medium": aria.medium,
    "aria-large": aria.large,
    "linear-tiny": musecoco.tiny,
    "musecoco-std": musecoco.std,
    "musecoco-large": musecoco.large,
    "musecoco-xl": musecoco.xl,
    "musecoco-1b": musecoco.one_billion,
}

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "model": {
        "toy": {"num_layers": 2, "model_dim": 32, "num_heads": 2, "ff_dim": 64, "ctx_len": 64},
        "tiny": {"num_layers": 4, "model_dim": 128, "num_heads": 4},
        "small": {"num_layers": 6, "model_dim": 256, "num_heads": 4},
        "medium": {"num_layers": 6, "model_dim": 384, "num_heads": 6},
        "large": {"num_layers": 6, "model_dim": 512, "num_heads": 8},
    },
    "data": {
        "as-written": {"transpose_semitones": 0},
        "transposed": {"transpose_semitones": 3},
    },
    "optim": {
        "noam": {"kind": "adam", "betas": [0.9, 0.98], "weight_decay": 0.0, "schedule": "noam"},
        "cosine": {"kind": "adamw", "betas": [0.9, 0.95], "weight_decay": 0.1, "schedule": "cosine"},
        "constant": {"kind": "adamw", "betas": [0.9, 0.95], "weight_decay": 0.1, "schedule": "constant"},
    },
    "train": {
        "toy": {"num_steps": 20, "batch_tokens": 4096, "eval_every_steps": 10, "eval_pieces": 4},
    },
}


def recipe(name: str) -> RunConfig:
    """Return the configuration of a recipe.

    Args:
        name: a name in ``RECIPES`` or ``"module:function"``.

    Raises:
        SettingsError: there is no such recipe.

    Example:
        >>> recipe("llama-tiny").model.positions
        'rope'
    """
    return recipe_function(name)()


def recipe_function(name: str) -> Callable[[], RunConfig]:
    """Return the function of a recipe; arguments and errors as ``recipe``."""
    if name in RECIPES:
        return RECIPES[name]
    module, colon, function = name.partition(":")
    if not colon:
        raise SettingsError(f"{name!r}: no such recipe; {nearest(name, RECIPES)}")
    try:
        found = getattr(import_module(module), function, None)
    except ImportError as error:
        raise SettingsError(f"{name!r}: {error}; expected 'module:function' that can be imported") from None
    if not callable(found):
        raise SettingsError(f"{name!r}: module {module} has no function {function!r}; check its spelling")
    return found


def resolve(name: str, args: list[str] | tuple[str, ...] = (), config_yaml: Any = None) -> RunConfig:
    """Return a recipe's configuration with what was asked for on top.

    Args:
        name: a recipe.
        args: ``section=preset`` and ``a.b=value``, in any order; presets apply first.
        config_yaml: a YAML file of the same names and values, which apply before ``args``.

    Raises:
        SettingsError: an unknown recipe, preset or setting, with the nearest name; a value that does not fit.

    Example:
        >>> resolve("llama-tiny", ["train.seed=3", "model=small"]).model.model_dim
        256
    """
    return override(recipe(name), args, config_yaml, presets=PRESETS)
