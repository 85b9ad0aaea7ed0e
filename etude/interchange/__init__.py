"""Published weights in, other people's formats out: one file per system.

``IMPORTERS`` names the function of each system as ``"module:function"``: ``read(path) -> Imported`` takes a file of
weights or a folder as the Hub has it, and touches nothing. ``import_model.py`` checks what it gave against the model
that its settings build, name by name, and writes the model folder. ``EXPORTERS`` names ``write(model, out) -> Path``,
``model`` being what ``etude.load`` returns. To add a system, write a file here and a line below.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from etude.errors import ModelError, nearest

IMPORTERS = {
    "anticipation": "etude.interchange.anticipation:read",
    "aria": "etude.interchange.aria:read",
    "musecoco": "etude.interchange.musecoco:read",
    "musictransformer": "etude.interchange.music_transformer:read",
}
EXPORTERS = {
    "folder": "etude.interchange.folder:write",
    "onnx": "etude.interchange.onnx_step:write",
    "transformers": "etude.interchange.transformers_layout:write",
}


@dataclass(frozen=True)
class Imported:
    """What a file of published weights holds, in our words.

    Args:
        settings: of the model, as ``etude.models.build_model`` takes them.
        tokenizer: that of the ids the weights were trained on.
        state_dict: tensors under the names of our model; ``import_model`` checks that they are all, and fit.
        facts: for the model folder's ``config.json``: ``name``, ``source``, ``licence``, what was changed.
        unread: names of tensors in the file that nothing was made of. ``import_model`` refuses them, unless they
            are named by the user.
    """

    settings: Any
    tokenizer: Any
    state_dict: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


def function_of(name: str, registry: dict[str, str], *, what: str) -> Callable[..., Any]:
    """Import the function that a name of a registry stands for.

    Args:
        name: a name in ``registry``.
        registry: ``IMPORTERS`` or ``EXPORTERS``.
        what: the word for it in the message, such as ``system``.

    Raises:
        ModelError: no such name.
    """
    if name not in registry:
        raise ModelError(f"{name!r}: no such {what}; {nearest(name, registry)}")
    module, _, function = registry[name].partition(":")
    return getattr(import_module(module), function)
