"""List recipes and presets, or show one recipe with all its settings.

What is shown for one recipe is YAML that `etude train --config` reads.

Example:
    etude recipes
    etude recipes music-transformer-small > mine.yaml
"""

import inspect
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etude.cli.show import report

if TYPE_CHECKING:
    from etude.settings import Leaf


def run(
    name: Annotated[str | None, typer.Argument(help="a recipe; without it, all are listed")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """List recipes and presets, or show one recipe with all its settings."""
    from etude.recipes import PRESETS, RECIPES, recipe, recipe_function
    from etude.settings import leaves

    if name is not None:
        config = recipe(name)
        text = inspect.getdoc(recipe_function(name)) or ""
        lines = [f"# {line}".rstrip() for line in [name, *text.splitlines()]]
        lines += _listing(list(leaves(config)))
        settings = {leaf.name: leaf.value for leaf in leaves(config)}
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
    document = {
        "recipes": [{"recipe": recipe, "text": text} for recipe, text in texts.items()],
        "presets": PRESETS,
    }
    report(document, as_json=as_json, lines=lines)


def _listing(settings: "list[Leaf]") -> list[str]:
    """Return one line of YAML a value, and what it is for as a comment."""
    rows = [(f"{leaf.name}: {_shown(leaf.value)}", leaf) for leaf in settings]
    width = max(len(text) for text, _ in rows)
    return [f"{text:<{width}}  # {_remark(leaf)}".rstrip(" #") for text, leaf in rows]


def _remark(leaf: "Leaf") -> str:
    notes = [note for note in (leaf.unit, leaf.kind) if note not in ("", "identity")]
    return leaf.text + (f" ({', '.join(notes)})" if notes else "")


def _shown(value: Any) -> str:
    """Return a value as YAML on one line; a plain word needs no quotes."""
    return value if isinstance(value, str) and value.replace("-", "").replace("_", "").isalpha() else json.dumps(value)
