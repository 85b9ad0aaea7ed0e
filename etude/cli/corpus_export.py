"""Write a corpus for other tools: a folder of MIDI, lines of MidiDict, or paired text.

Example:
    etude corpus export corpora/mine mine-midi
    etude corpus export corpora/mine mine.jsonl --format midi-dict --by-split
    etude corpus export pairs/style texts --format paired
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from etude.cli.show import note, progress_bar, report


def run(
    corpus: Annotated[Path, typer.Argument(help="a prepared corpus; for paired text an imported folder of pairs")],
    out: Annotated[Path, typer.Argument(help="the folder to make, or for midi-dict the .jsonl file")],
    format: Annotated[Literal["midi", "midi-dict", "paired"], typer.Option(help="what to write")] = "midi",
    split: Annotated[str | None, typer.Option(help="only the pieces of train, valid or test")] = None,
    by_split: Annotated[bool, typer.Option("--by-split", help="midi-dict: a file for each split")] = False,
    force: Annotated[bool, typer.Option("--force", help="midi-dict: replace files that are there")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Write a corpus for other tools."""
    from etude.data.export import export_midi, export_midi_dict
    from etude.data.paired import export_pairs

    if format != "midi-dict" and (by_split or force):
        raise typer.BadParameter("--by-split and --force are for --format midi-dict")
    if format == "paired":
        if split:
            raise typer.BadParameter("--split: paired text is written with all its splits")
        made = export_pairs(corpus, out)
        counts = ", ".join(f"{rows:,} {name}" for name, rows in made["splits"].items())
        report(made, as_json=as_json, lines=[f"{made['path']}  pairs: {counts}"])
        return
    with progress_bar("writing", total=None, unit="pieces") as advance_to:

        def show(done: int, total: int) -> None:
            advance_to(done, total=total)

        if format == "midi":
            made = export_midi(corpus, out, split=split, progress=show)
            lines = [f"{made['path']}  {made['pieces']:,} MIDI files, labels.csv, SOURCE.md"]
        else:
            made = export_midi_dict(corpus, out, split=split, by_split=by_split, force=force, progress=show)
            lines = [f"{path}  {count:,} pieces" for path, count in made["files"].items()]
    if changed := made.get("changed"):
        note(f"{len(changed)} pieces have notes that MIDI cannot say exactly, such as {changed[0]}")
    report(made, as_json=as_json, lines=lines)
