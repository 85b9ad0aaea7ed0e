"""Corpus → token shards, made once for each tokenizer and found again after."""

import errno
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etude.data.builtin import cache_dir
from etude.data.corpus import Corpus
from etude.data.lock import writing
from etude.data.shards import Shards, read_seal
from etude.data.token_files import write_shards
from etude.tokens.loss_report import loss_line


def tokenize(
    corpus: Corpus,
    tokenizer: Any,
    *,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Shards:
    """Return the shards of a corpus, made now unless they are there.

    Another process that makes the same shards is waited for.

    Args:
        corpus: what to tokenize.
        tokenizer: what to tokenize it with.
        progress: called with pieces done and pieces in all.
        say: called with a line of text when the shards have to be made; it tells what the ids leave out.

    Raises:
        TokenError: what is there was made by another tokenizer or is damaged, or a piece has no tokens.
        EtudeError: the disk is full.
    """
    folder = shards_folder(corpus, tokenizer)
    if not _is_made(folder, corpus):
        with writing(folder, wait=True):
            if not _is_made(folder, corpus):
                if say:
                    made_with = f"{tokenizer.kind} {tokenizer.hash}, which {loss_line(tokenizer)}"
                    say(f"tokenizing {len(corpus)} pieces with {made_with}")
                write_shards(folder, corpus, tokenizer, progress)
    return Shards.open(folder, tokenizer, splits=corpus.splits)


def shards_folder(corpus: Corpus, tokenizer: Any) -> Path:
    """Return where the shards of a corpus are, or belong: in it, or in the cache if it is read-only."""
    inside = corpus.path / "tokens" / tokenizer.hash
    if (inside / "tokens.json").is_file() or can_write(corpus.path):
        return inside
    return cache_dir() / "tokens" / corpus.content / tokenizer.hash


def can_write(folder: Path) -> bool:
    """Return whether new files may be made in a folder."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        # any other, such as a full disk, is for the user to know
        return error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS)


def _is_made(folder: Path, corpus: Corpus) -> bool:
    """Tell whether shards of this very corpus are there; those of other pieces are made anew."""
    return folder.exists() and read_seal(folder)["content"] == corpus.content
