"""Where a folder may be written: never over something that is not a model."""

from pathlib import Path

from etude.errors import ModelError

_OURS = ({"config.json", "model.safetensors"}, {"decode_step.onnx"})
"""Names of which one set is in every folder that import and export write."""


def check_place(out: Path | str, source: Path | str) -> None:
    """Refuse to replace a folder of other things, or the one that is read from.

    Args:
        out: the folder that will be written, and replaced if it is there.
        source: what is read.

    Raises:
        ModelError: ``out`` holds something else than a model, or what is read.
    """
    out = Path(out)
    if not out.exists():
        return
    if Path(source).resolve().is_relative_to(out.resolve()):
        raise ModelError(f"{out}: holds what is read, {source}; name another folder to write")
    names = {path.name for path in out.iterdir()} if out.is_dir() else {out.name}
    if names and not any(ours <= names for ours in _OURS):
        raise ModelError(f"{out}: is there and holds no model; name a new folder to write, or remove it")
