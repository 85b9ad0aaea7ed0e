"""The command line: one file per command, imported when it is asked for.

A command's module has a function ``run``, whose parameters are the command's arguments and options, or
``app``, a ``typer.Typer`` of sub-commands. Its docstring begins with what the command does and ends with
``Example:``. Heavy libraries are imported inside ``run``: ``etude --help`` must not wait for torch.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """Where a command is listed in ``etude --help``, and the module that holds it."""

    panel: str
    module: str


COMMANDS: dict[str, Command] = {
    "demo": Command("Begin", "etude.cli.demo"),
    "recipes": Command("Begin", "etude.cli.recipes"),
    "prepare": Command("Data", "etude.cli.prepare"),
    "corpus": Command("Data", "etude.cli.corpus"),
    "tokenize": Command("Data", "etude.cli.tokenize"),
    "train": Command("Train", "etude.cli.train"),
    "finetune": Command("Train", "etude.cli.finetune"),
    "merge": Command("Train", "etude.cli.merge"),
    "runs": Command("Train", "etude.cli.runs"),
    "generate": Command("Play", "etude.cli.generate"),
    "replay": Command("Play", "etude.cli.replay"),
    "render": Command("Play", "etude.cli.render"),
    "attributes": Command("Measure", "etude.cli.attributes"),
    "import": Command("Exchange", "etude.cli.import_model"),
    "export": Command("Exchange", "etude.cli.export"),
}
