"""Corpora by name: the built-in sampler is prepared once, in the user's cache, when it is first asked for."""

import os
from pathlib import Path

from etude.data.corpus import Corpus
from etude.data.lock import writing
from etude.data.prepare import SAMPLER, prepare
from etude.errors import CorpusError


def open_corpus(name: Path | str) -> Corpus:
    """Open a corpus by its folder, or the built-in one by the name ``sampler``.

    Raises:
        CorpusError: nothing there, or not a corpus of this version.
    """
    if os.fspath(name) != SAMPLER or Path(name).is_dir():
        return Corpus.open(name)
    from etude.corpora.sampler import CHECKSUM

    folder = cache_dir() / "corpora" / f"sampler-{CHECKSUM[:16]}"
    if not (folder / "corpus.json").is_file():
        try:
            prepare(SAMPLER, folder)
        except CorpusError:
            # another process may be making it: wait for its end
            with writing(folder, wait=True):
                pass
            if not (folder / "corpus.json").is_file():
                raise
    return Corpus.open(folder)


def cache_dir() -> Path:
    """Return the user's folder for what can be made again: ``$XDG_CACHE_HOME/etude`` or ``~/.cache/etude``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etude"
