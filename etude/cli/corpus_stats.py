"""Show what is in a corpus, what it is like, what was left out, and what belongs together.

With --out the numbers become a page to look at, which needs no network.

Example:
    etude corpus stats corpora/mine --out mine.html
    etude corpus stats corpora/mine --json > mine.json
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from etude.cli.show import progress_bar, report


def run(
    corpus: Annotated[Path, typer.Argument(help="a folder that etude prepare made")],
    out: Annotated[Path | None, typer.Option(help="write a page with plots, such as mine.html")] = None,
    most: Annotated[
        int, typer.Option(min=1, help="measure the music of at most so many pieces, at equal distances")
    ] = 20_000,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Show what is in a corpus, what it is like, and what was left out."""
    from etude.data.corpus import Corpus
    from etude.data.stats import corpus_stats

    opened = Corpus.open(corpus)
    with progress_bar("measuring", total=min(most, len(opened)), unit="pieces") as advance_to:
        stats = corpus_stats(opened, most=most, progress=lambda done, _: advance_to(done))
    if out is not None:
        _write_page(opened, stats, out)
    document = stats | ({"page": str(out.resolve())} if out is not None else {})
    lines = _lines(stats) + ([f"page: {out.resolve()}"] if out is not None else [])
    report(document, as_json=as_json, lines=lines)


def _write_page(opened: Any, stats: dict[str, Any], out: Path) -> None:
    from etude import __version__
    from etude.data.stats import typical_pieces
    from etude.files import write_text
    from etude.pages.corpus import corpus_page

    footer = f"Etude {__version__}, corpus digest {opened.digest}"
    write_text(out, corpus_page(stats, typical_pieces(opened, stats), footer=footer))


def _lines(stats: dict[str, Any]) -> list[str]:
    files, near, music = stats["files"], stats["near_duplicates"], stats["music"]
    seconds, notes = stats["seconds"], stats["notes_per_piece"]
    rows = {
        "pieces": f"{stats['pieces']:,} in {stats['groups']['count']:,} groups",
        "notes": f"{stats['notes']:,}",
        "hours": f"{stats['hours']:,.1f}",
        "splits": ", ".join(f"{name} {split['pieces']:,}" for name, split in stats["splits"].items()),
        "files seen": ", ".join(f"{count:,} {verdict}" for verdict, count in files.items()),
        "left out by": _first(stats["dropped"]["rules"] | stats["dropped"]["reasons"]),
        "variants": "not looked for" if near is None else f"{near['pairs']:,} pairs, {near['leaks']:,} across splits",
        "licences": ", ".join(f"{name} {found['pieces']:,}" for name, found in stats["licences"].items()),
    }
    if seconds["count"]:
        rows |= {
            "length": f"{seconds['min']:.1f} to {seconds['max']:.1f} s, median {seconds['median']:.1f} s",
            "notes each": f"{notes['min']:,.0f} to {notes['max']:,.0f}, median {notes['median']:,.0f}",
            "instruments": _first({name: {"files": found["pieces"]} for name, found in music["families"].items()}),
            "keys": _first({name: {"files": count} for name, count in music["keys"].items() if count}),
            "metres": _first({name: {"files": count} for name, count in music["metres"].items()}),
        }
    for name, label in stats["labels"].items():
        rows[f"label {name}"] = f"{label['values']:,} values in {label['known']:,} pieces"
    if stats["measured"]["pieces"] < stats["measured"]["of"]:
        rows["measured"] = f"the music of {stats['measured']['pieces']:,} pieces, at equal distances"
    width = max(map(len, rows))
    return [f"{name:<{width}}  {value}" for name, value in rows.items() if value]


def _first(found: dict[str, dict[str, Any]], most: int = 6) -> str:
    """Return the most frequent, and how many others there are."""
    counts = sorted(((-row["files"], name) for name, row in found.items()))
    shown = ", ".join(f"{name} {-count:,}" for count, name in counts[:most])
    return shown + (f" and {len(counts) - most} more" if len(counts) > most else "")
