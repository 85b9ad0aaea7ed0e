"""Corpus → learned merges, made once for each corpus and base and found again after.

Only training pieces are read, one after the other, so memory does not grow with the corpus. The tokenizer is
written beside the token shards, as ``tokens/<base>-bpe-<size>-<key>.json``; the key stands for the pieces and
their splits, the base and what was asked for.
"""

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

from etude.data.corpus import Corpus
from etude.data.lock import writing
from etude.data.token_files import ids_of_piece
from etude.data.tokenize import shards_folder
from etude.errors import SettingsError, TokenError
from etude.files import write_json
from etude.settings import canonical_json
from etude.tokens.bpe import BpeTokenizer
from etude.tokens.bpe_learn import learn_merges
from etude.tokens.bpe_settings import BpeSettings, Within
from etude.tokens.bpe_words import WordCounts
from etude.tokens.files import tokenizer_of_file

_REVISION = 1
"""Raised when the same corpus begins to give other merges."""


def learn_bpe(
    corpus: Corpus,
    base: Any,
    *,
    vocab_size: int,
    within: Within = "note",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[BpeTokenizer, Path]:
    """Return a tokenizer with merges learned from the training pieces of a corpus, and its file.

    Args:
        corpus: what to learn from.
        base: the tokenizer whose ids are merged.
        vocab_size: ids that the new one has, merges among them; fewer when no pair comes twice any more.
        within: what no merge reaches over, see ``BpeSettings``.
        progress: called with pieces read and pieces in all.

    Raises:
        SettingsError: no room for merges, or a base without what ``within`` asks for.
        TokenError: no piece is for training, or one cannot be encoded.
    """
    if vocab_size <= base.vocab_size:
        raise SettingsError(
            f"bpe = {vocab_size}: {base.kind} has {base.vocab_size} ids without any merge; expected more than that"
        )
    file = _file(corpus, base, vocab_size, within)
    if not file.is_file():
        with writing(file, wait=True):
            if not file.is_file():
                write_json(file, _learned(corpus, base, vocab_size, within, progress).to_json())
    return tokenizer_of_file(file), file


def _learned(
    corpus: Corpus, base: Any, vocab_size: int, within: Within, progress: Callable[[int, int], None] | None
) -> BpeTokenizer:
    plain = BpeTokenizer(BpeSettings(base=base.settings, within=within))
    words, total = WordCounts(), corpus.splits["split"].to_pylist().count("train")
    for done, piece in enumerate(corpus.pieces("train"), start=1):
        try:
            ids = ids_of_piece(base, piece)
        except TokenError as error:
            raise TokenError(f"{corpus.path}: {piece.path}: {error}") from error
        words.add(ids, plain.word_starts(ids))
        if progress:
            progress(done, total)
    if not total:
        raise TokenError(f"{corpus.path}: no piece is for training; give it one with `etude corpus split`")
    merges = learn_merges(words.words(), vocab_size=base.vocab_size, num_merges=vocab_size - base.vocab_size)
    return plain.with_merges(merges)


def _file(corpus: Corpus, base: Any, vocab_size: int, within: Within) -> Path:
    revision = [_REVISION, BpeTokenizer.revision]
    asked = {"revision": revision, "digest": corpus.digest, "base": base.hash, "size": vocab_size, "within": within}
    key = blake2b(canonical_json(asked).encode(), digest_size=4).hexdigest()
    return shards_folder(corpus, base).parent / f"{base.kind.replace(':', '-')}-bpe-{vocab_size}-{key}.json"
