"""Write a model for elsewhere: transformers, ONNX, or a model folder of its own.

Example:
    etude export RUN mine                   for AutoModelForCausalLM.from_pretrained("mine")
    etude export RUN mine-onnx --onnx       the decode step, for onnxruntime and browsers
    etude export RUN mine-model --folder    the best model alone, for etude.load
"""

from pathlib import Path
from typing import Annotated

import typer

from etude.cli.show import report


def run(
    model: Annotated[Path, typer.Argument(help="a model folder, or a run, of which the best model is taken")],
    out: Annotated[Path, typer.Argument(help="the folder to write; a model that stands there is replaced")],
    onnx: Annotated[bool, typer.Option("--onnx", help="the decode step with its cache as ONNX")] = False,
    folder: Annotated[bool, typer.Option("--folder", help="a model folder, without the rest of the run")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Write a model for elsewhere: transformers, ONNX, or a model folder of its own."""
    from etude.interchange import EXPORTERS, function_of
    from etude.interchange.places import check_place
    from etude.model_folder import load

    if onnx and folder:
        raise typer.BadParameter("--onnx and --folder: one at a time")
    to = "onnx" if onnx else "folder" if folder else "transformers"
    loaded = load(model)
    check_place(out, loaded.path)
    path = function_of(to, EXPORTERS, what="format")(loaded, out)
    files = sorted(file.name for file in path.iterdir())
    made = {"path": str(path), "format": to, "weights": loaded.digest, "files": files}
    report(made, as_json=as_json, lines=[f"{path}  {to}: {', '.join(files)}"])
