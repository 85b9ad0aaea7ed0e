"""A folder of MIDI as a corpus, for commands that take either: prepared once, found again while it is the same."""

import json
import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

from etude.data.builtin import open_corpus
from etude.data.corpus import Corpus
from etude.data.inputs import find_inputs
from etude.data.lock import writing
from etude.data.prepare import SAMPLER, prepare
from etude.errors import CorpusError
from etude.settings import canonical_json

FRACTIONS = (0.8, 0.2, 0.0)
"""Of a small folder a fifth is held out, to tell what is learned from what is learned by heart; no test split."""


def corpus_of(
    source: Path | str,
    root: Path | str,
    *,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> Corpus:
    """Open a corpus, or make one of a folder of MIDI.

    Args:
        source: a corpus, ``sampler`` for the built-in one, or a folder of MIDI files.
        root: the folder that corpora are made in; each is named after its source.
        progress: called with files read and files in all.
        settings: values of ``PrepareSettings`` for a folder of MIDI; ``fractions`` are ``FRACTIONS`` by default.

    Raises:
        CorpusError: nothing there, nothing that can be read, or too few pieces to hold any out.
    """
    if os.fspath(source) == SAMPLER or (Path(source) / "corpus.json").is_file():
        corpus = open_corpus(source)
    else:
        settings = {"fractions": FRACTIONS} | settings
        out = Path(root) / f"{Path(source).resolve().name}-{_key(source, settings)}"
        if not (out / "corpus.json").is_file():
            with writing(out.with_name(f"{out.name}.made"), wait=True):  # by one of several ranks
                if not (out / "corpus.json").is_file():
                    prepare(source, out, progress=progress, **settings)
        corpus = Corpus.open(out)
    _check_splits(corpus, source)
    return corpus


def _key(source: Path | str, settings: dict[str, Any]) -> str:
    """Return what stands for the files of a folder as they are now, and for how they are prepared; 8 hex digits."""
    key = blake2b(canonical_json(settings).encode(), digest_size=4)
    for one in find_inputs(source, settings.get("formats", ("midi",))):
        key.update(json.dumps([one.name, one.num_bytes, Path(one.path).stat().st_mtime_ns]).encode())
    table = Path(source) / "labels.csv"
    key.update(table.read_bytes() if table.is_file() else b"")
    return key.hexdigest()


def _check_splits(corpus: Corpus, source: Path | str) -> None:
    splits = corpus.info["splits"]
    if splits.get("train") and splits.get("valid"):
        return
    num_files = sum(corpus.info["files"].values())
    raise CorpusError(
        f"{source}: {len(corpus)} pieces in {corpus.info['groups']} groups of variants, of {num_files} files: "
        "expected two groups or more, one to learn from and one to hold out; add pieces, or see "
        f"`etude corpus stats {corpus.path}`"
    )
