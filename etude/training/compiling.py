"""``torch.compile`` where it is asked for: block by block, so that one block is compiled and all are served."""

import torch

from etude.errors import SettingsError


def compile_model(model: torch.nn.Module, device: torch.device) -> None:
    """Have the blocks of a model compiled when they are first called; names and weights stay as they are.

    Blocks of one kind share their compiled code, so this costs seconds and not minutes, and what is not a block runs as
    it is written. A model without ``blocks`` is compiled as a whole where its ``forward`` is called.

    Args:
        model: on its device.
        device: where it is.

    Raises:
        SettingsError: torch cannot compile here, such as on a CPU without a C++ compiler.
    """
    _check_compiler(device)
    for block in getattr(model, "blocks", [model]):
        block.compile()


def _check_compiler(device: torch.device) -> None:
    """Compile one sum: a missing compiler is found now and not in the middle of the first step."""
    try:
        torch.compile(_add_one)(torch.zeros(2, device=device))
    except Exception as error:  # the compilers behind torch raise whatever they like
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SettingsError(
            f"train.compile = true: torch cannot compile on {device.type} here ({reason}); set train.compile=false"
        ) from error


def _add_one(values: torch.Tensor) -> torch.Tensor:
    return values + 1
