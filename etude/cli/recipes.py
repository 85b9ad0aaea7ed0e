"""List recipes and presets, or show one recipe with all its settings.

What is shown for one recipe is YAML that `etude train --config` reads.

Example:
    etude recipes
    etude recipes music-transformer-small > mine.yaml
"""

import inspect
import json
from typing import Annotated, Any

import typer

from etude.cli.show import report


def run(
    name: Annotated[str | None, typer.Argument(help="a recipe; without it, all are listed")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """List recipes and presets, or show one recipe with all its settings."""
    from etude.recipes import PRESETS, RECIPES, recipe, recipe_function

    if name is not None:
        settings = flat(recipe(name).plain())
        text = inspect.getdoc(recipe_function(name)) or ""
        lines = [f"# {line}".rstrip() for line in [name, *text.splitlines()]]
        lines += [f"{place}: {_shown(value)}" for place, value in settings.items()]
        report({"recipe": name, "text": text, "settings": settings}, as_json=as_json, lines=lines)
        return
    texts = {recipe: (inspect.getdoc(function) or "").partition("\n")[0] for recipe, function in RECIPES.items()}
    width = max(map(len, texts))
    lines = ["Recipes, for `etude train NAME`:"]
    lines += [f"  {recipe:<{width}}  {text}" for recipe, text in texts.items()]
    lines += ["", "Presets, for `etude train NAME section=preset`:"]
    for section, presets in PRESETS.items():
        for preset, values in presets.items():
            changes = ", ".join(f"{place}={_shown(value)}" for place, value in values.items())
            lines.append(f"  {section + '=' + preset:<{width}}  {changes}")
    lines += ["", "Single values: `etude train NAME a.b=value`; `etude recipes NAME` lists them."]
    document = {"recipes": [{"recipe": recipe, "text": text} for recipe, text in texts.items()], "presets": PRESETS}
    report(document, as_json=as_json, lines=lines)


def flat(values: dict[str, Any], where: str = "") -> dict[str, Any]:
    """Return nested settings as one level of dotted names.

    Example:
        >>> flat({"train": {"seed": 0}, "label": ""})
        {'train.seed': 0, 'label': ''}
    """
    found = {}
    for name, value in values.items():
        place = f"{where}.{name}" if where else name
        found |= flat(value, place) if isinstance(value, dict) else {place: value}
    return found


def _shown(value: Any) -> str:
    """Return a value as YAML on one line; a plain word needs no quotes."""
    return value if isinstance(value, str) and value.replace("-", "").replace("_", "").isalpha() else json.dumps(value)
