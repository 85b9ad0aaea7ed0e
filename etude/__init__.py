"""Etude: one workbench for music models. The names below are imported when they are first used.

Example:
    >>> import etude
    >>> etude.tokenizer("performance").vocab_size
    390
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "Score": "etude.music.score:Score",
    "Track": "etude.music.score:Track",
    "read_midi": "etude.music.midi:read_midi",
    "write_midi": "etude.music.midi:write_midi",
    "check_score": "etude.music.check:check_score",
    "render": "etude.music.render:render",
    "render_wav": "etude.music.render:render_wav",
    "tokenizer": "etude.tokens:build_tokenizer",
    "prepare": "etude.data.prepare:prepare",
    "open_corpus": "etude.data.builtin:open_corpus",
    "train": "etude.api:train",
    "finetune": "etude.api:finetune",
    "load": "etude.model_folder:load",
    "Sampling": "etude.generate.sample:Sampling",
    "EtudeError": "etude.errors:EtudeError",
}

__all__ = ["__version__", *_NAMES]  # noqa: PLE0604 - names of the table above


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'etude' has no attribute {name!r}")
    module, _, attribute = _NAMES[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])
