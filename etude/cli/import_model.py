"""Turn published weights into a model folder: aria, musecoco, musictransformer or anticipation.

Example:
    etude import aria model.safetensors models/aria
    etude import anticipation music-small-800k models/amt
    etude import musictransformer best_loss_weights.pickle models/mt --heads 8
"""

from pathlib import Path
from typing import Annotated

import typer

from etude.cli.show import report


def run(
    system: Annotated[str, typer.Argument(help="whose weights: aria, musecoco, musictransformer, anticipation")],
    weights: Annotated[Path, typer.Argument(help="a .safetensors, .pt or .bin file, or a folder with config.json")],
    out: Annotated[Path, typer.Argument(help="the model folder to write")],
    heads: Annotated[int | None, typer.Option(min=1, help="attention heads, where the file does not tell")] = None,
    ctx_len: Annotated[int | None, typer.Option(min=1, help="context in tokens, where the file does not tell")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="a tensor to leave out; others without a place are an error")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Turn published weights into a model folder."""
    from etude.interchange.import_model import import_model

    told = {name: value for name, value in {"num_heads": heads, "ctx_len": ctx_len}.items() if value is not None}
    made = import_model(system, weights, out, without=without or [], **told)
    report(
        made,
        as_json=as_json,
        lines=[
            f"{made['path']}  {made['parameters']:,} parameters, {made['vocab_size']:,} ids of {made['tokenizer']}",
            f"listen: etude generate {made['path']} --seconds 30",
        ],
    )
