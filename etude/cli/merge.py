"""Lay an adapter on its base and write the model that results, which needs neither.

Example:
    etude merge runs/RUN/best/loss/adapter my-model --base base-model
"""

from pathlib import Path
from typing import Annotated

import typer

from etude.cli.show import report


def run(
    adapter: Annotated[Path, typer.Argument(help="an adapter folder: adapter/ in a model folder of a LoRA run")],
    out: Annotated[Path, typer.Argument(help="the model folder to write")],
    base: Annotated[str | None, typer.Option(help="the model it was learned on; by default where that was")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Lay an adapter on its base and write the model that results."""
    from etude.errors import ModelError
    from etude.model_folder import load, save_model

    if out.exists():
        raise ModelError(f"{out}: is there already; name another folder")
    model = load(adapter, base=base)
    # what the adapter's card says of its origin holds for the whole model
    own = ("schema", "version", "etude", "model", "vocab_size", "tokenizer_hash")
    facts = {name: value for name, value in model.config.items() if name not in own}
    save_model(out, model.network, model.tokenizer, facts)
    document = {"path": str(out), "adapter": model.digest, "base": model.config["start"]["digest"]}
    report(document, as_json=as_json, lines=[f"{out}: a whole model", f"next: etude generate {out} --seconds 30"])
