"""``etude``: find the command, run it, turn errors into one line and an exit code.

Exit codes: 0 done, 1 something a user can mend (one line on standard error), 130 interrupted. Any other error
is a bug, and shows itself with a traceback.
"""

import errno
import sys
from typing import Annotated, Any

import typer

from etude.cli import COMMANDS
from etude.cli.group import group_of
from etude.errors import EtudeError

_INTERRUPTED = 130
_FROM_OUTSIDE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EIO,
    errno.ENAMETOOLONG,
}
"""Errors of the machine that only a user can mend: a full disk, missing rights."""

# Newer Typers bring a copy of click and do not install click itself, so the class is found by its name.
_UsageProblem = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")


app = typer.Typer(
    cls=group_of(COMMANDS),
    add_completion=False,
    invoke_without_command=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(
    epilog="Example:\n\netude demo --minutes 2\n\netude prepare my-midi corpus\n\n"
    "etude train llama-tiny data.corpus=corpus"
)
def root(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Train, play and measure music models on your own MIDI."""
    if version:
        from etude import __version__

        print(f"etude {__version__}")
    elif ctx.invoked_subcommand is None:
        print(ctx.get_help())


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: what was typed after ``etude``; None for this process's own arguments.

    Returns:
        The exit code.
    """
    try:
        code = typer.main.get_command(app).main(argv, prog_name="etude", standalone_mode=False)
        if code == _INTERRUPTED:  # newer Typers turn an interrupt into its exit code themselves
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except _UsageProblem as problem:
        return _refuse(_explain(problem))
    except EtudeError as error:
        return _refuse(str(error))
    except OSError as error:
        if error.errno not in _FROM_OUTSIDE:
            raise
        return _refuse(f"{error.filename or 'a file'}: {error.strerror}")
    except (KeyboardInterrupt, typer.Abort):
        print("etude: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _explain(problem: Any) -> str:
    context = getattr(problem, "ctx", None)
    path = context.command_path.removeprefix("etude").strip() if context else ""
    message = problem.format_message().strip().rstrip(".").replace("\n", " ")
    return f"{path + ': ' if path else ''}{message}; see `etude {path + ' ' if path else ''}--help`"


def _refuse(message: str) -> int:
    print("etude: " + " ".join(message.splitlines()), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
