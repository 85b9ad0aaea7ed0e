"""Make a corpus of a folder of MIDI files: read, judged, split, with a ledger of every file.

Example:
    etude prepare ~/midi corpora/mine
    etude prepare asap corpora/asap --labels asap/labels.csv --licence "CC BY-NC-SA 4.0"
    etude prepare sampler corpora/sampler
"""

from pathlib import Path
from typing import Annotated

import typer

from etude.cli.show import note, progress_bar, report


def run(
    midi_dir: Annotated[str, typer.Argument(help="a folder of .mid, .midi and .kar, or sampler: the built-in pieces")],
    out: Annotated[Path, typer.Argument(help="the folder to make")],
    labels: Annotated[Path | None, typer.Option(help="a CSV file with a column path and a row a file")] = None,
    licence: Annotated[str | None, typer.Option(help="licence of the files, where the labels name none")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="processes that read; by default one a core")] = None,
    seed: Annotated[int, typer.Option(help="seed of the split")] = 0,
    force: Annotated[bool, typer.Option("--force", help="replace the corpus that is at OUT")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Make a corpus of a folder of MIDI files."""
    from etude.data.prepare import prepare

    with progress_bar("reading", total=None, unit="files") as advance_to:
        made = prepare(
            midi_dir,
            out,
            labels=labels,
            licence=licence,
            workers=workers,
            seed=seed,
            force=force,
            progress=lambda done, total: advance_to(done, total=total),
        )
    unmatched = made.pop("unmatched_labels")
    if unmatched:
        note(f"{labels}: {len(unmatched)} rows name no file under {midi_dir}, such as '{unmatched[0]}'")
    report(made, as_json=as_json, lines=_lines(made))


def _lines(made: dict) -> list[str]:
    return [
        f"{made['corpus']}  {made['accepted']:,} pieces, {made['notes']:,} notes, {made['hours']:.1f} hours"
        f" in {made['seconds']:.1f} s",
        f"{made['seen']:,} files seen: {made['accepted']:,} accepted, {made['duplicates']:,} duplicates, "
        f"{made['filtered']:,} filtered, {made['rejected']:,} rejected; each has a row in ledger.parquet",
        f"next: etude train llama-tiny data.corpus={made['corpus']}",
    ]
