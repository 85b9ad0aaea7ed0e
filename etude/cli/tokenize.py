"""Turn a corpus into token shards, which training does by itself when they are missing.

Example:
    etude tokenize corpora/mine --tokenizer performance
    etude tokenize corpora/mine --tokenizer performance --bpe 5000
    etude tokenize corpora/mine --tokenizer remi --report --out losses.html
"""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from etude.cli.show import note, progress_bar, report


class Within(StrEnum):
    """What no learned merge reaches over."""

    note = "note"
    bar = "bar"
    piece = "piece"


def run(
    corpus: Annotated[Path, typer.Argument(help="a folder that `etude prepare` made")],
    tokenizer: Annotated[str, typer.Option(help="a name, module:Class, or the .json file of a tokenizer")] = (
        "performance"
    ),
    bpe: Annotated[
        int | None, typer.Option(help="learn merges from the training pieces until there are so many ids")
    ] = None,
    within: Annotated[Within, typer.Option(help="what no merge reaches over")] = Within.note,
    with_report: Annotated[
        bool, typer.Option("--report", help="measure what the tokenizer loses of the corpus")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="with --report: write a page, such as losses.html")] = None,
    most: Annotated[
        int, typer.Option(min=1, help="with --report: measure at most so many pieces, at equal distances")
    ] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Turn a corpus into token shards."""
    from etude.data.builtin import open_corpus
    from etude.data.tokenize import tokenize

    began = time.monotonic()
    built = _tokenizer_named(tokenizer)
    opened = open_corpus(corpus)
    learned = None
    if bpe is not None:
        from etude.data.learn_bpe import learn_bpe

        with progress_bar("learning merges", total=len(opened), unit="pieces") as advance_to:
            built, learned = learn_bpe(
                opened, built, vocab_size=bpe, within=within.value, progress=lambda done, total: advance_to(done)
            )
    said: list[str] = []
    with progress_bar("tokenizing", total=len(opened), unit="pieces") as advance_to:
        shards = tokenize(opened, built, progress=lambda done, _: advance_to(done), say=said.append)
    # after the bar, and not before an error, which is one line
    for line in said:
        note(line)
    made: dict[str, Any] = {
        "tokenizer": built.kind,
        "hash": built.hash,
        "vocab_size": built.vocab_size,
        "pieces": len(shards),
        "tokens": shards.num_tokens,
        "path": str(shards.path),
        "seconds": round(time.monotonic() - began, 3),
    }
    lines = [f"{shards.path}  {len(shards):,} pieces, {shards.num_tokens:,} tokens"]
    if learned is not None:
        made["file"] = str(learned)
        lines.append(
            f"{learned}  {built.vocab_size:,} ids; train with data.tokenizer=bpe data.tokenizer.file={learned}"
        )
    if with_report or out is not None:
        from etude.cli.tokenize_report import losses_of

        added, more = losses_of(opened, built, name=corpus.resolve().name, most=most, out=out)
        made |= added
        lines += more
    report(made, as_json=as_json, lines=lines)


def _tokenizer_named(name: str) -> Any:
    from etude.tokens import build_tokenizer

    if not name.endswith(".json"):
        return build_tokenizer(name)
    from etude.tokens.files import tokenizer_of_file

    return tokenizer_of_file(Path(name))
