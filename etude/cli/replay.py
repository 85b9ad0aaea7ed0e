"""Make a take again from the recipe beside it: the same bytes on the same kind of device.

Example:
    etude replay takes/take-0000.json --out again
"""

from pathlib import Path
from typing import Annotated

import typer

from etude.cli.show import note, report, take_line, take_row


def run(
    take: Annotated[Path, typer.Argument(help="the .json beside a take")],
    out: Annotated[Path, typer.Option(help="folder for the take")] = Path("replayed"),
    model: Annotated[str | None, typer.Option(help="the model, if it has moved")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Make a take again from its recipe."""
    from etude.generate.takes import read_recipe, replay
    from etude.model_folder import load

    recipe, _ = read_recipe(take)
    loaded = load(model or recipe["model"]["path"], device=recipe["machine"]["device"])
    made, differences = replay(loaded.network, loaded.tokenizer, take, model=loaded.name)
    for difference in differences:
        note(f"{take}: {difference}; the take may differ")
    midi_path, recipe_path = made.save(out, take.stem)
    row = take_row(made, midi_path, recipe_path)
    report({"takes": [row]}, as_json=as_json, lines=[take_line(row)])
