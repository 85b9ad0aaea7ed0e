"""``config.json``: what a run is, with every setting written out.

The sections stand at the top, as in a configuration; ``run`` beside them holds the id and where the run came
from. The file is plain data: turning it back into settings is ``etude.config.config_of_run``.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from etude.errors import RunError
from etude.files import write_json

SCHEMA = "etude-run"
VERSION = 1


@dataclass(frozen=True)
class Definition:
    """What was asked for, and out of what.

    Args:
        id: the run's identity, 16 hex digits.
        corpus: digest of the corpus.
        tokenizer: hash of the tokenizer.
        settings: every setting, plain.
        recipe: name of the recipe it began with, empty if none.
        overrides: what was changed on the command line, as typed.
        parent: id of the run that it was forked from, or None.
    """

    id: str
    corpus: str
    tokenizer: str
    settings: dict[str, Any] = field(repr=False)
    recipe: str = ""
    overrides: tuple[str, ...] = ()
    parent: str | None = None


def write_config(folder: Path | str, definition: Definition) -> None:
    """Write a run's ``config.json``."""
    facts = asdict(definition)
    settings = facts.pop("settings")
    write_json(Path(folder) / "config.json", {"schema": SCHEMA, "version": VERSION, "run": facts} | settings)


def read_config(folder: Path | str) -> Definition:
    """Read a run's ``config.json``.

    Raises:
        RunError: it is missing, damaged, or of another schema version.
    """
    path = Path(folder) / "config.json"
    try:
        values = json.loads(path.read_text())
        found = (values.pop("schema"), values.pop("version"))
        if found != (SCHEMA, VERSION):
            raise RunError(f"{path}: schema {found[0]} version {found[1]}; expected {SCHEMA} version {VERSION}")
        facts = values.pop("run")
        return Definition(**facts | {"overrides": tuple(facts["overrides"]), "settings": values})
    except FileNotFoundError:
        raise RunError(f"{path}: missing; expected the folder of a run") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path}: damaged: {type(error).__name__} {error}") from None
