"""Groups of commands whose modules are imported when a command is run or listed.

A command's module has a function ``run``, whose parameters are the command's arguments and options, or
``app``, a ``typer.Typer`` of sub-commands. The lines under ``Example:`` in its docstring end its help.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from etude.cli import Command
from etude.errors import EtudeError, nearest


def group_of(commands: Mapping[str, Command]) -> type[TyperGroup]:
    """Return the class of a group of commands, for ``typer.Typer(cls=...)``.

    Args:
        commands: by name, in the order in which help lists them.
    """

    class Group(TyperGroup):
        """The commands of one table."""

        def list_commands(self, ctx: Any) -> list[str]:
            """Return the names, in the order of the table."""
            return list(commands)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            """Build one command, or return None if there is no such name."""
            return _build(cmd_name, commands[cmd_name]) if cmd_name in commands else None

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """Find the command that was typed.

            Raises:
                EtudeError: there is none of that name; the message names the nearest.
            """
            if args[0] not in commands and not args[0].startswith("-"):
                raise EtudeError(f"{args[0]!r}: no such command; {nearest(args[0], commands)}")
            return super().resolve_command(ctx, args)

    return Group


def _build(name: str, found: Command) -> Any:
    """Build the command of a module, with the example of its docstring below the help."""
    module = import_module(found.module)
    app = getattr(module, "app", None)
    if app is not None:
        command = typer.main.get_group(app)
    else:
        app = typer.Typer(add_completion=False, rich_markup_mode="rich")
        app.command(name)(module.run)
        command = typer.main.get_command(app)
    command.name = name
    command.rich_help_panel = found.panel
    command.context_settings["help_option_names"] = ["-h", "--help"]
    command.epilog = _example(module.__doc__ or "")
    return command


def _example(docstring: str) -> str | None:
    """Return the lines under ``Example:``, as paragraphs, since help texts join single lines."""
    _, found, lines = docstring.partition("Example:\n")
    shown = [line.strip().replace("[", "\\[") for line in lines.splitlines() if line.strip()]
    return "\n\n".join(["Example:", *shown]) if found else None
