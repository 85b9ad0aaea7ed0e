"""Split a corpus anew, by other groups, another seed or other shares.

Example:
    etude corpus split corpora/asap --by work --by performer --given ignore
    etude corpus split corpora/mine --seed 1 --fractions 0.9,0.05,0.05
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from etude.cli.show import report


def run(
    corpus: Annotated[Path, typer.Argument(help="a prepared corpus")],
    by: Annotated[list[str] | None, typer.Option(help="a label that keeps pieces in one split; give it again")] = None,
    given: Annotated[
        Literal["keep", "ignore"] | None, typer.Option(help="whether the splits that the labels gave hold")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="of the split")] = None,
    fractions: Annotated[str | None, typer.Option(help="shares of train, valid and test, such as 0.8,0.1,0.1")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Split a corpus anew; what is not said stays as it was."""
    from etude.data.resplit import resplit

    said = {"group_by": by or None, "given_splits": given, "seed": seed, "fractions": _shares(fractions)}
    made = resplit(corpus, **{name: value for name, value in said.items() if value is not None})
    counts = ", ".join(f"{count:,} {name}" for name, count in made["splits"].items())
    lines = [f"{made['corpus']}  {made['groups']:,} groups: {counts}"]
    if made["largest_group"] > sum(made["splits"].values()) / 2:
        lines.append(f"one group has {made['largest_group']:,} pieces: what is kept together joins most of the corpus")
    if made["leaks"]:
        lines.append(f"{made['leaks']:,} pairs of variants lie in different splits that the labels give; see --given")
    report(made, as_json=as_json, lines=lines)


def _shares(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"'{text}'; expected three numbers, such as 0.8,0.1,0.1") from None
