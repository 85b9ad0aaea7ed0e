"""What ``etude tokenize --report`` adds: what the tokenizer loses of the corpus, as lines, numbers and a page."""

from pathlib import Path
from typing import Any

from etude.cli.show import progress_bar


def losses_of(opened: Any, built: Any, *, name: str, most: int, out: Path | None) -> tuple[dict[str, Any], list[str]]:
    """Measure what a tokenizer loses, and write the page if there is to be one.

    Args:
        opened: the corpus.
        built: the tokenizer.
        name: what the corpus is called.
        most: how many of its pieces are measured, at most.
        out: where the page goes, if anywhere.

    Returns:
        What is added to the JSON document, and to the lines.
    """
    from etude.data.token_losses import corpus_losses

    with progress_bar("measuring", total=min(most, len(opened)), unit="pieces") as advance_to:
        losses = corpus_losses(opened, built, most=most, progress=lambda done, _: advance_to(done))
    losses["corpus"] = name
    lines = _lines(losses)
    if out is None:
        return {"losses": losses}, lines
    _write_page(opened, built, losses, out)
    return {"losses": losses, "page": str(out.resolve())}, [*lines, f"page: {out.resolve()}"]


def _write_page(opened: Any, built: Any, losses: dict[str, Any], out: Path) -> None:
    from etude import __version__
    from etude.data.token_losses import examples
    from etude.files import write_text
    from etude.pages.tokens import tokens_page

    footer = f"Etude {__version__}, tokenizer {built.hash}, corpus digest {opened.digest}"
    write_text(out, tokens_page(losses, list(examples(opened, built, losses)), footer=footer))


def _lines(losses: dict[str, Any]) -> list[str]:
    notes, measured, tables = losses["notes"], losses["measured"], losses["tables"]
    lost = {"drums": notes["lost_drums"], "doubled": notes["lost_doubled"], "others": notes["lost_other"]}
    rows = {
        "not in the ids": ", ".join(losses["loses"]) or "nothing",
        "notes": _of(notes["kept"], notes["before"]),
        "lost": ", ".join(f"{name} {count:,}" for name, count in lost.items() if count),
        "added": f"{notes['added']:,}" * bool(notes["added"]),
        "cut short": f"{notes['cut']:,}" * bool(notes["cut"]),
        "onset": _size(losses["onset_ms"], " ms"),
        "duration": _size(losses["duration_ms"], " ms"),
        "velocity": _size(losses["velocity"], ""),
        "tempo": f"{losses['tempo_error']['mean']:.1%} off" if losses["tempo_error"]["count"] else "",
    }
    rows |= {name: _of(row["kept"], row["before"]) for name, row in tables.items() if row["before"]}
    if pedalled := losses["ends"].get("pedal"):
        rows["pedal"] += f"; in {pedalled:,} pieces as lengths of notes"
    if measured["pieces"] < measured["of"]:
        rows["measured"] = f"{measured['pieces']:,} of {measured['of']:,} pieces, at equal distances"
    if losses["refused"]["pieces"]:
        first = losses["refused"]["examples"][0]
        rows["refused"] = f"{losses['refused']['pieces']:,} pieces, such as {first['path']}: {first['reason']}"
    width = max(map(len, rows))
    return [f"{name:<{width}}  {value}" for name, value in rows.items() if value]


def _of(kept: int, before: int) -> str:
    from etude.pages.tokens import share

    return f"{share(kept, before)} come back, {kept:,} of {before:,}"


def _size(found: dict[str, Any], unit: str) -> str:
    if not found["count"]:
        return ""
    from etude.pages.tokens import short

    half, most, everything = (short(found["size"][name]) for name in ("median", "p95", "max"))
    return f"half within {half}{unit}, 95% within {most}{unit}, all within {everything}{unit}"
