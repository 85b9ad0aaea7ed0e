"""Fetch a published dataset into a folder that `etude prepare` takes as it is: checked, unpacked, labelled.

Example:
    etude corpus fetch --list
    etude corpus fetch maestro-v3 data/maestro
    etude corpus fetch giantmidi-piano data/giantmidi --from ~/Downloads/midis_v1.2.zip
    etude prepare data/maestro corpora/maestro
"""

from pathlib import Path
from typing import Annotated

import typer

from etude.cli.show import note, progress_bar, report


def run(
    name: Annotated[str | None, typer.Argument(help="a dataset, see --list")] = None,
    folder: Annotated[Path | None, typer.Argument(help="the folder to make, or to continue or label again")] = None,
    copy: Annotated[
        Path | None, typer.Option("--from", help="a copy at hand: an archive, or a folder of archives or files")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="fetch again what is there")] = False,
    show: Annotated[bool, typer.Option("--list", help="list the datasets with licence, size and homepage")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Fetch a published dataset: download, check, unpack and label it; a call that was cut off continues."""
    if show:
        rows = [_row(name) for name in _chosen(name)]
        report({"datasets": rows}, as_json=as_json, lines=_table(rows))
        return
    if name is None or folder is None:
        raise typer.BadParameter("expected NAME and DIR, or --list")
    from etude.corpora.fetch import fetch

    with progress_bar(name, total=None, unit="MB") as advance_to:
        made = fetch(
            name,
            folder,
            copy=copy,
            force=force,
            progress=lambda what, done, total: advance_to(done / 1e6, what, total and total / 1e6),
        )
    if not as_json:
        for remark in made["remarks"]:
            note(remark)
    report(made, as_json=as_json, lines=_lines(made))


def _chosen(name: str | None) -> list[str]:
    from etude.corpora import DATASETS

    return list(DATASETS) if name is None else [name]


def _row(name: str) -> dict:
    from etude.corpora import find_dataset

    dataset = find_dataset(name)
    by_hand = dataset.by_hand
    return {
        "name": name,
        "title": dataset.title,
        "licence": dataset.licence or None,
        "num_bytes": dataset.num_bytes,
        "homepage": dataset.homepage,
        "checksums": {remote.name: remote.checksum for remote in dataset.remotes},
        "by_hand": by_hand.page if by_hand else None,
    }


def _table(rows: list[dict]) -> list[str]:
    cells = [
        (row["name"], row["licence"] or "not stated", _size(row["num_bytes"], row["by_hand"]), row["homepage"])
        for row in rows
    ]
    widths = [max(len(cell[column]) for cell in cells) for column in range(3)]
    lines = [
        "  ".join([*(f"{text:{width}}" for text, width in zip(cell, widths, strict=False)), cell[3]]) for cell in cells
    ]
    if any(row["by_hand"] for row in rows):
        lines.append("* a person has to agree to terms and get it: etude corpus fetch NAME DIR says where")
    return lines


def _size(num_bytes: int | None, by_hand: str | None) -> str:
    size = (
        "?" if num_bytes is None else f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"
    )
    return size + ("*" if by_hand else "")


def _lines(made: dict) -> list[str]:
    splits = ", ".join(f"{count:,} {split}" for split, count in made["splits"].items())
    verb = "labelled again" if made["already"] else "fetched"
    licence = made["licence"] or "not stated"
    return [
        f"{made['folder']}  {made['title']}, {verb}: {made['files']:,} files; licence: {licence}",
        f"groups of more than one file: {made['groups']:,}; "
        + (f"published split: {splits}" if splits else "no published split"),
        *_checks(made["downloads"]),
        f"next: etude prepare {made['folder']} OUT",
    ]


def _checks(downloads: list[dict]) -> list[str]:
    first = [file["name"] for file in downloads if file["trust"] == "first use"]
    if not first:
        return []
    return [f"no checksum is published of {', '.join(first)}: its SHA-256 is in fetched.json and holds from now on"]
