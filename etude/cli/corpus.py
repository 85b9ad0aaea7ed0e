"""Look into a corpus, check it, describe it, split it anew, or bring music in and out.

Example:
    etude corpus stats corpora/mine --out mine.html
    etude corpus check corpora/mine
    etude corpus card corpora/mine
"""

import typer

from etude.cli import Command
from etude.cli.group import group_of

COMMANDS: dict[str, Command] = {
    "stats": Command("Look", "etude.cli.corpus_stats"),
    "check": Command("Look", "etude.cli.corpus_check"),
    "card": Command("Look", "etude.cli.corpus_card"),
    "split": Command("Change", "etude.cli.corpus_split"),
    "cut": Command("Change", "etude.cli.corpus_cut"),
    "fetch": Command("In and out", "etude.cli.corpus_fetch"),
    "import": Command("In and out", "etude.cli.corpus_import"),
    "export": Command("In and out", "etude.cli.corpus_export"),
}

app = typer.Typer(cls=group_of(COMMANDS), add_completion=False, rich_markup_mode="rich", invoke_without_command=True)


@app.callback()
def root(ctx: typer.Context) -> None:
    """Look into a corpus, check it, describe it, split it anew, or bring music in and out."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())
