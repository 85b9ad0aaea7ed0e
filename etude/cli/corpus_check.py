"""Examine a corpus: is it whole, do its numbers add up, does anything leak from one split into another?

Exit code 1 says that something is wrong; every problem names the files it is about.

Example:
    etude corpus check corpora/mine
    etude corpus check corpora/asap --by work --by performer
    etude corpus check corpora/mine --files ~/midi --json
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from etude.cli.show import progress_bar, report

_MOST_SHOWN = 10


def run(
    corpus: Annotated[Path, typer.Argument(help="a folder that etude prepare made")],
    by: Annotated[
        list[str] | None, typer.Option(help="a label of which no value may be in two splits; give it again")
    ] = None,
    files: Annotated[Path | None, typer.Option(help="the folder of MIDI that it was made of, to compare")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Examine a corpus: whether it is whole, adds up, and leaks nothing between splits."""
    from etude.data.doctor import check_corpus

    with progress_bar("examining", total=None, unit="pieces") as advance_to:
        found = check_corpus(
            corpus, by=by or (), files=files, progress=lambda done, total: advance_to(done, total=total)
        )
    report(found, as_json=as_json, lines=_lines(found))
    if found["problems"]:
        raise typer.Exit(1)


def _lines(found: dict[str, Any]) -> list[str]:
    lines = []
    for check in found["checks"]:
        name = f"{check['check']:<17}"
        if check["problems"]:
            lines.append(f"wrong    {name} {check['problems']:,} problem{'s' * (check['problems'] != 1)}")
            lines += [f"           {problem['message']}" for problem in check["listed"][:_MOST_SHOWN]]
            rest = check["problems"] - _MOST_SHOWN
            lines += [f"           and {rest:,} more; --json lists up to {len(check['listed'])}"] if rest > 0 else []
        elif check["skipped"]:
            lines.append(f"skipped  {name} {check['skipped']}")
        else:
            lines.append(f"good     {name} {check['about']}")
    lines += [f"note     {note}" for note in found["notes"]]
    problems = found["problems"]
    said = "nothing is wrong" if not problems else f"{problems:,} problem{'s' * (problems != 1)}"
    return [*lines, f"{found['corpus']}: {said}"]
