"""Make a corpus of a folder of MIDI files: read, judged, grouped, split, with a ledger of every file.

Example:
    etude prepare ~/midi corpora/mine
    etude prepare asap corpora/asap --labels asap/labels.csv --licence "CC BY-NC-SA 4.0"
    etude prepare ~/midi corpora/piano filters=aria filters.min_notes=200 --group-by composer --names composer
    etude prepare ~/midi corpora/free --allow-licence CC0 --allow-licence "CC BY"
    etude prepare sampler corpora/sampler
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from etude.cli.show import note, progress_bar, report

Texts = list[str] | None


def run(
    midi_dir: Annotated[str, typer.Argument(help="a folder of .mid, .midi and .kar, or sampler: the built-in pieces")],
    out: Annotated[Path, typer.Argument(help="the folder to make")],
    settings: Annotated[Texts, typer.Argument(help="filters=PRESET and name=value, see docs/corpus.md")] = None,
    labels: Annotated[str | None, typer.Option(help="a CSV file with a column path; none for no table")] = None,
    licence: Annotated[str | None, typer.Option(help="licence of the files, where nothing names one")] = None,
    allow_licence: Annotated[Texts, typer.Option(help="leave out all but this, such as 'CC BY'; give it again")] = None,
    label: Annotated[Texts, typer.Option(help="a label of all files, such as composer=Chopin; give it again")] = None,
    names: Annotated[Texts, typer.Option(help="read composer or form from names of files; give it again")] = None,
    group_by: Annotated[Texts, typer.Option(help="a label that keeps pieces in one split; give it again")] = None,
    near_duplicates: Annotated[bool | None, typer.Option(help="keep variants of a piece in one split")] = None,
    formats: Annotated[Texts, typer.Option(help="midi, musicxml, abc or midi_dict; give it again")] = None,
    config: Annotated[Path | None, typer.Option(help="a YAML file of name: value")] = None,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="where files are read")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="processes that read; by default one a core")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the split")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the corpus that is at OUT")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Make a corpus of a folder of MIDI files."""
    from etude.data.filters import FILTER_PRESETS
    from etude.data.prepare import prepare
    from etude.data.prepare_settings import PrepareSettings
    from etude.recipes.resolve import override

    chosen = override(PrepareSettings(), settings or (), config, presets={"filters": FILTER_PRESETS})
    options = {"allow_licence": allow_licence, "names": names, "group_by": group_by, "formats": formats}
    options |= {"near_duplicates": near_duplicates, "seed": seed}
    chosen = chosen.replace(**{name: value for name, value in options.items() if value not in (None, [])})
    with progress_bar("reading", total=None, unit="files") as advance_to:
        made = prepare(
            midi_dir,
            out,
            labels=labels,
            licence=licence,
            fixed_labels=_pairs(label or []),
            workers=workers,
            engine=engine,
            force=force,
            progress=lambda done, total: advance_to(done, "comparing" if done == total else "", total),
            **chosen.plain(),
        )
    unmatched = made.pop("unmatched_labels")
    if unmatched:
        note(f"{labels}: {len(unmatched)} rows name no file under {midi_dir}, such as '{unmatched[0]}'")
    report(made, as_json=as_json, lines=_lines(made))


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise typer.BadParameter(f"--label '{text}'; expected NAME=VALUE, such as composer=Chopin")
        pairs[name] = value
    return pairs


def _lines(made: dict) -> list[str]:
    lines = [
        f"{made['corpus']}  {made['accepted']:,} pieces, {made['notes']:,} notes, {made['hours']:.1f} hours"
        f" in {made['seconds']:.1f} s",
        f"{made['seen']:,} files seen: {made['accepted']:,} accepted, {made['duplicates']:,} duplicates, "
        f"{made['filtered']:,} filtered, {made['rejected']:,} rejected; each has a row in ledger.parquet",
    ]
    if made["continued"]:
        lines.append(f"{made['continued']:,} of them were read by a run that was interrupted")
    if made["rules"]:
        lines.append("filtered by " + ", ".join(f"{rule}: {count:,}" for rule, count in made["rules"].items()))
    lines.append(f"{made['groups']:,} groups, {made['near_pairs']:,} pairs of variants; no group is in two splits")
    if made["leaks"]:
        lines.append(
            f"{made['leaks']:,} of the pairs lie in different splits that the labels give: etude corpus check "
            f"{made['corpus']} lists them"
        )
    return [*lines, f"next: etude train llama-tiny data.corpus={made['corpus']}"]
