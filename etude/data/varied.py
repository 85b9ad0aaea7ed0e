"""Pieces varied for training: as Scores encoded anew, or as ids where that is exact or asked for.

The ids of a piece in an epoch are a function of (seed, epoch, piece), so every window that holds a part of it holds
a part of the same variation, in any process.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from etude.data.batches import transposed_piece
from etude.data.corpus import Corpus
from etude.data.piece_file import PieceFile, open_pieces
from etude.data.settings import DataSettings
from etude.data.shards import Shards
from etude.data.token_files import ids_of_piece
from etude.errors import SettingsError, TokenError
from etude.music.augment import AugmentSettings, augment
from etude.randomness import below
from etude.tokens.augment import augment_ids, can_augment_ids, mix_chords

_KEPT_BYTES = 2**28
"""Of varied pieces: windows of one are spread over an epoch, and one that is still there is not varied again."""


def varied_pieces(
    shards: Shards, corpus: Corpus, data: DataSettings, *, seed: int, say: Callable[[str], None] | None = None
) -> "VariedPieces | None":
    """Return what varies pieces as ``data`` asks; None where transposing ids does it, or nothing is asked.

    Args:
        shards: the tokens of the corpus.
        corpus: where Scores are read from if they are needed.
        data: of the run.
        seed: of the run.
        say: called with a line of text when something takes long.

    Raises:
        SettingsError: a variation that the tokenizer cannot have.
    """
    asked = AugmentSettings(**data.augment.plain(), transpose_semitones=data.transpose_semitones)
    _check(asked, shards.tokenizer)
    alone = AugmentSettings(transpose_semitones=asked.transpose_semitones)
    if asked == alone and (not asked.transpose_semitones or shards.tokenizer.transposes_exactly):
        return None
    pieces = open_pieces(corpus, say=say) if _needs_scores(asked, shards.tokenizer) else None
    return VariedPieces(shards, asked, seed=seed, pieces=pieces)


class VariedPieces:
    """Gives the ids of a piece, varied anew in each epoch; for ``TrainBatches``.

    Args:
        shards: the tokens.
        settings: how pieces are varied.
        seed: of the run.
        pieces: the pieces of the same corpus; None if no variation needs their Scores.
    """

    def __init__(
        self, shards: Shards, settings: AugmentSettings, *, seed: int, pieces: PieceFile | None = None
    ) -> None:
        self.shards = shards
        self.settings = settings
        self.seed = seed
        self._pieces = pieces
        self._kept: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()  # batches may be made in several threads

    def __call__(self, row: int, epoch: int) -> np.ndarray:
        """Return the ids of a piece in an epoch, END last, (N,); N may differ from that in the shards."""
        key = (epoch, row)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        ids = self._vary(row, epoch).astype(self.shards.ids(row).dtype)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = ids
                self._kept_bytes += ids.nbytes
            while self._kept_bytes > _KEPT_BYTES:
                self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
        return ids

    def _vary(self, row: int, epoch: int) -> np.ndarray:
        index, settings = (epoch, self.shards.piece_ids[row].as_py()), self.settings
        stored = self.shards.ids(row)
        end = stored[-1:]
        if self._pieces is not None:
            ids = self._encoded(row, index, stored)
        elif settings.vary == "scores":
            ids = transposed_piece(self.shards, row, settings.transpose_semitones, seed=self.seed, epoch=epoch)[:-1]
        else:
            ids = stored[:-1]
        ids = self._vary_ids(ids, index)
        return np.concatenate([ids, end.astype(ids.dtype)])

    def _encoded(self, row: int, index: tuple[int, str], stored: np.ndarray) -> np.ndarray:
        piece = self._pieces.piece(row)
        try:
            return ids_of_piece(
                self.shards.tokenizer, piece, augment(piece.score, self.settings, seed=self.seed, index=index)
            )
        except TokenError:
            # such as a piece of almost 24 hours that got longer; as it is it could be encoded
            return stored[:-1]

    def _vary_ids(self, ids: np.ndarray, index: tuple[int, str]) -> np.ndarray:
        tokenizer, settings, prefix = self.shards.tokenizer, self.settings, ids[:0]
        if settings.drop_conditions:
            ids = tokenizer.drop_conditions(ids, self._dropped(index))
        if tokenizer.kind == "control":
            length = tokenizer.prefix_length(ids)
            prefix, ids, tokenizer = ids[:length], ids[length:], tokenizer.base
        if settings.vary == "ids":
            ids = augment_ids(tokenizer, ids, settings, seed=self.seed, index=index)
        elif settings.mix_chords:
            ids = mix_chords(tokenizer, ids, seed=self.seed, index=index)
        return np.concatenate([prefix, ids]) if len(prefix) else ids

    def _dropped(self, index: tuple[int, str]) -> list[str]:
        """Return the attributes of which nothing is said."""
        names = [one.name for one in self.shards.tokenizer.settings.attributes]
        limit = self.settings.drop_conditions * (1 << 32)
        return [name for name in names if below(1 << 32, self.seed, "drop_conditions", *index, name) < limit]


def _needs_scores(settings: AugmentSettings, tokenizer: Any) -> bool:
    if settings.vary == "ids":
        return False
    more = settings.tempo_percent or settings.velocity_steps or settings.drop_tracks
    return bool(more or (settings.transpose_semitones and not tokenizer.transposes_exactly))


def _check(settings: AugmentSettings, tokenizer: Any) -> None:
    """Refuse what a tokenizer cannot have."""
    inner = tokenizer.base if tokenizer.kind == "control" else tokenizer
    for name, is_asked in (("mix_chords", settings.mix_chords), ("vary", settings.vary == "ids")):
        if is_asked and not can_augment_ids(inner):
            raise SettingsError(
                f"data.augment.{name} = {getattr(settings, name)}: tokenizer {inner.kind} cannot have it; "
                "take absolute or relative, or leave it out"
            )
    if settings.vary == "ids" and settings.drop_tracks:
        raise SettingsError(
            f"data.augment.drop_tracks = {settings.drop_tracks}: ids have no tracks; set data.augment.vary=scores"
        )
    if settings.drop_conditions and tokenizer.kind != "control":
        raise SettingsError(
            f"data.augment.drop_conditions = {settings.drop_conditions}: tokenizer {tokenizer.kind} has no "
            "conditions; take control, or leave it out"
        )
