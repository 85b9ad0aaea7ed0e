"""Print what the attributes of MIDI files are, and what each was seen from.

A value is followed by the bin that it falls into; NA is what is not known.

Example:
    etude attributes song.mid
    etude attributes takes/*.mid --only key,tempo,bars --json
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etude.cli.show import report

if TYPE_CHECKING:
    from etude.attributes import Value
    from etude.music.score import Score


def run(
    files: Annotated[list[Path], typer.Argument(help="MIDI files")],
    only: Annotated[str | None, typer.Option(help="names of attributes, such as key,tempo")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Print what the attributes of MIDI files are, and what each was seen from."""
    from etude.attributes import ATTRIBUTES, attribute
    from etude.music.midi import read_midi

    names = list(ATTRIBUTES) if only is None else [name.strip() for name in only.split(",") if name.strip()]
    # a misspelt name stops the command before any file is read
    known = [attribute(name) for name in names]
    rows, lines = [], []
    for path in files:
        score = read_midi(path)
        found = {name: _row(one, score) for name, one in zip(names, known, strict=True)}
        rows.append({"file": str(path), "attributes": found})
        lines += [str(path), *_table(found, known), ""]
    report({"files": rows}, as_json=as_json, lines=lines[:-1])


def _row(one: Any, score: "Score") -> dict[str, Any]:
    """Return what is printed of one attribute of one file."""
    value = one.measure(score)
    return {
        "value": round(value, 6) if isinstance(value, float) else value,
        "bin": one.bins.bin_of(value),
        "evidence": one.evidence(score),
    }


def _table(found: dict[str, dict[str, Any]], known: list[Any]) -> list[str]:
    """Return a line an attribute: name, value with its unit, bin, evidence."""
    cells = [
        (name, _shown(row["value"], one), "" if row["bin"] == row["value"] else row["bin"], row["evidence"])
        for (name, row), one in zip(found.items(), known, strict=True)
    ]
    widths = [max((len(cell[column]) for cell in cells), default=0) for column in range(3)]
    return [
        "  " + "  ".join(f"{text:<{width}}" for text, width in zip(cell, (*widths, 0), strict=True)) for cell in cells
    ]


def _shown(value: "Value", one: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.5g} {one.unit}"
    return value if isinstance(value, str) else ", ".join(value)
