"""From what was typed after ``etude train`` to a configuration, and the record of where it came from."""

import sys
from pathlib import Path
from typing import Any

from etude.config import RunConfig, config_of_run
from etude.errors import SettingsError
from etude.recipes import PRESETS, RECIPES, resolve
from etude.recipes.resolve import override
from etude.runs.find import find_run
from etude.runs.identity import differences


def resolve_words(
    words: list[str], *, from_run: str | None, config: Path | None, device: str | None, fork: bool
) -> tuple[RunConfig, dict[str, Any]]:
    """Return the configuration that was asked for, and its origin as ``open_run`` records it.

    Args:
        words: a recipe's name first, unless ``from_run`` is given, then ``name=value``.
        from_run: a run, whose stored settings are the start.
        config: a flat YAML overlay.
        device: short for ``train.device=``.
        fork: accept that the stored settings of ``from_run`` now mean another run.

    Raises:
        SettingsError: neither or both of recipe and run, or a name or value that does not fit.
    """
    named = [word for word in words if "=" not in word]
    changes = [word for word in words if "=" in word] + ([f"train.device={device}"] if device else [])
    if len(named) > 1:
        raise SettingsError(f"{named[1]!r}: expected name=value after the recipe {named[0]!r}")
    if bool(named) == bool(from_run):
        raise SettingsError(f"give a recipe or -f RUN, one of the two; recipes: {', '.join(RECIPES)}")
    origin: dict[str, Any] = {"command": sys.argv, "overrides": tuple(changes)}
    if named:
        return resolve(named[0], changes, config), origin | {"recipe": named[0]}
    source = find_run(from_run)
    stored = config_of_run(source.path)
    wanted = override(stored, changes, config, presets=PRESETS)
    if any(difference.kind == "identity" for difference in differences(stored.plain(), wanted)) or fork:
        return wanted, origin | {"recipe": source.recipe, "parent": source.run}
    return wanted, origin | {"recipe": source.recipe, "expected_id": source.run}
