"""Turn a corpus into token shards, which training does by itself when they are missing.

Example:
    etude tokenize corpora/mine --tokenizer performance
"""

import time
from pathlib import Path
from typing import Annotated

import typer

from etude.cli.show import progress_bar, report


def run(
    corpus: Annotated[Path, typer.Argument(help="a folder that `etude prepare` made")],
    tokenizer: Annotated[str, typer.Option(help="a name, or module:Class")] = "performance",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Turn a corpus into token shards."""
    from etude.data.builtin import open_corpus
    from etude.data.tokenize import tokenize
    from etude.tokens import build_tokenizer

    began = time.monotonic()
    built = build_tokenizer(tokenizer)
    opened = open_corpus(corpus)
    with progress_bar("tokenizing", total=len(opened), unit="pieces") as advance_to:
        shards = tokenize(opened, built, progress=lambda done, _: advance_to(done))
    made = {
        "tokenizer": built.kind,
        "hash": built.hash,
        "vocab_size": built.vocab_size,
        "pieces": len(shards),
        "tokens": shards.num_tokens,
        "path": str(shards.path),
        "seconds": round(time.monotonic() - began, 3),
    }
    report(made, as_json=as_json, lines=[f"{shards.path}  {len(shards):,} pieces, {shards.num_tokens:,} tokens"])
