"""Bring music of other tools in: lines of MidiDict, MusicXML and ABC become a corpus, paired text a folder of pairs.

Example:
    etude corpus import midi-dict pieces.jsonl corpora/mine
    etude corpus import musicxml scores corpora/scores --licence "CC0 1.0"
    etude corpus import paired texts pairs/style
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from etude.cli.show import progress_bar, report

Format = Literal["midi", "midi-dict", "musicxml", "abc", "paired"]


def run(
    format: Annotated[Format, typer.Argument(help="midi, midi-dict, musicxml, abc or paired")],
    source: Annotated[Path, typer.Argument(help="a folder of such files, or one .jsonl, .abc or score")],
    out: Annotated[Path, typer.Argument(help="the folder to make")],
    licence: Annotated[str | None, typer.Option(help="licence of the pieces, where nothing names one")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="processes that read; by default one a core")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the corpus that is at OUT")] = False,
    dictionary: Annotated[Path | None, typer.Option("--dict", help="paired: by default dict.txt in SOURCE")] = None,
    dict_lines: Annotated[int | None, typer.Option(help="paired: lines of the dictionary, by default 1249")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Bring music of other tools in; `etude prepare --formats …` does the same with all its settings."""
    if format == "paired":
        _import_paired(source, out, dictionary, dict_lines, as_json)
        return
    if dictionary is not None or dict_lines is not None:
        raise typer.BadParameter("--dict and --dict-lines are for paired text")
    from etude.data.import_midi_dict import import_midi_dict
    from etude.data.prepare import prepare

    take = import_midi_dict if format == "midi-dict" else prepare
    with progress_bar("reading", total=None, unit="pieces") as advance_to:
        made = take(
            source,
            out,
            licence=licence,
            workers=workers,
            force=force,
            formats=(format.replace("-", "_"),),
            progress=lambda done, total: advance_to(done, total=total),
        )
    made.pop("unmatched_labels", None)
    line = (
        f"{made['corpus']}  {made['accepted']:,} of {made['seen']:,} pieces accepted, {made['notes']:,} notes; "
        "each has a row in ledger.parquet"
    )
    report(made, as_json=as_json, lines=[line])


def _import_paired(source: Path, out: Path, dictionary: Path | None, dict_lines: int | None, as_json: bool) -> None:
    from etude.data.paired import DICT_LINES, import_pairs

    lines = DICT_LINES if dict_lines is None else dict_lines
    made = import_pairs(source, out, dictionary=dictionary, dict_lines=lines)
    counts = ", ".join(f"{rows:,} {name}" for name, rows in made["splits"].items())
    report(made, as_json=as_json, lines=[f"{made['path']}  pairs: {counts}; {made['tokens']:,} tokens"])
