"""Cut the pieces of a corpus into segments of so many bars: a new corpus of those.

Example:
    etude corpus cut corpora/mine corpora/mine16 --bars 16
    etude corpus cut corpora/mine corpora/mine-some --bars 16 --random 3 --seed 1
"""

from pathlib import Path
from typing import Annotated

import typer

from etude.cli.show import progress_bar, report


def run(
    corpus: Annotated[Path, typer.Argument(help="a prepared corpus")],
    out: Annotated[Path, typer.Argument(help="the folder to make")],
    bars: Annotated[int, typer.Option(min=1, help="bars in a segment")] = 16,
    random: Annotated[
        int | None, typer.Option(min=1, help="so many stretches of each piece at random, not one after the other")
    ] = None,
    seed: Annotated[int, typer.Option(help="of --random")] = 0,
    force: Annotated[bool, typer.Option("--force", help="replace the corpus that is at OUT")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Cut the pieces of a corpus into segments; each stays in the group and split of its piece."""
    from etude.data.cut import cut

    with progress_bar("cutting", total=None, unit="pieces") as advance_to:
        made = cut(
            corpus,
            out,
            bars=bars,
            at_random=random,
            seed=seed,
            force=force,
            progress=lambda done, total: advance_to(done, "", total),
        )
    counts = ", ".join(f"{count:,} {name}" for name, count in made["splits"].items())
    lines = [
        f"{made['corpus']}  {made['segments']:,} segments of {made['pieces']:,} pieces: {counts}",
        f"{made['notes']:,} notes, {made['hours']:.1f} hours; {made['duplicates']:,} segments were left out because "
        "an earlier one has the same notes",
    ]
    report(made, as_json=as_json, lines=lines)
