"""What a model is told of each piece of a corpus: rows of its table of conditions, one for each id.

Labels and measures are those of the piece; where training varies pieces in a way that changes a measure, it is taken
again from the varied ids. What changes by token is counted from the ids.

Legend: N ids of a piece, P pieces, C conditions.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from etude.attributes import attribute
from etude.conditions import NO_ROW, Condition, ConditionSettings
from etude.data.corpus import Corpus
from etude.data.settings import DataSettings
from etude.data.shards import Shards
from etude.errors import CorpusError, nearest
from etude.music.score import Score
from etude.tokens.token_features import TokenFeatures

_KEPT = 4096


class PieceConditions:
    """The conditions of the pieces of a corpus.

    Args:
        settings: which there are.
        shards: the tokens of the corpus.
        corpus: its labels, and the Scores that something is measured of.
        data: how training varies pieces.
        say: called with a line of text when something takes long.

    Attributes:
        rows_PC: of each piece as it is in the corpus, int64; NA for what changes by token.

    Raises:
        CorpusError: the corpus does not have a label.
        SettingsError: nothing of a name can be measured, or the tokenizer's ids do not tell it.
    """

    def __init__(
        self,
        settings: ConditionSettings,
        shards: Shards,
        corpus: Corpus,
        data: DataSettings,
        *,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.settings, self._tokenizer = settings, shards.tokenizer
        _check_labels(settings, corpus)
        of_tokens = {one.name: one.num_values for one in settings.attributes if one.is_of_tokens}
        self._features = TokenFeatures(shards.tokenizer, of_tokens) if of_tokens else None
        self._columns = [place for place, one in enumerate(settings.attributes) if one.is_of_tokens]
        self._first = np.array(settings.first_rows, np.int64)[self._columns]
        self._changed = [one for one in settings.attributes if one.thresholds and _is_changed_by(data, one)]
        self._kept: dict[tuple[int, int], np.ndarray] = {}
        is_measured = any(one.thresholds for one in settings.attributes)
        if is_measured:
            say(f"measuring conditions of {len(corpus)} pieces")
        pieces = corpus.pieces() if is_measured else corpus.pieces(columns=())
        self.rows_PC = np.stack([self._told(piece.labels, piece.score) for piece in pieces])

    def of_ids(self, row: int, ids: np.ndarray, epoch: int | None = None) -> np.ndarray:
        """Return the row of each condition for each id of a piece, int64 (N, C): what it is read with to say that id.

        Args:
            row: of the piece in the shards.
            ids: of the whole piece, END last.
            epoch: in which training varied it so; None for the piece as it is.
        """
        rows_NC = np.tile(self.rows_PC[row] if epoch is None else self._varied(row, ids, epoch), (len(ids), 1))
        if self._features is not None:
            values = self._features.of_piece(ids)
            rows_NC[:, self._columns] = np.where(values < 0, NO_ROW, self._first + values)
        return rows_NC

    def _varied(self, row: int, ids: np.ndarray, epoch: int) -> np.ndarray:
        """Return the rows of a piece as training varied it."""
        if not self._changed:
            return self.rows_PC[row]
        found = self._kept.get((row, epoch))
        if found is None:
            score = self._tokenizer.decode(ids[:-1])
            measured = self.settings.rows_of({one.name: _measure(one, score) for one in self._changed})
            is_changed = np.isin(self.settings.names, [one.name for one in self._changed])
            found = np.where(is_changed, measured, self.rows_PC[row])
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[row, epoch] = found
        return found

    def _told(self, labels: dict[str, str], score: Score | None) -> np.ndarray:
        told: dict[str, Any] = {}
        for one in self.settings.attributes:
            if one.thresholds:
                told[one.name] = _measure(one, score)
            elif labels.get(one.name) in one.values:
                told[one.name] = labels[one.name]
        return self.settings.rows_of(told)


def _measure(one: Condition, score: Score) -> float | None:
    """Return what is measured; a number that is none is not known."""
    value = attribute(one.measured_by or one.name).measure(score)
    return value if value is not None and value == value else None


def _is_changed_by(data: DataSettings, one: Condition) -> bool:
    """Return whether pieces are varied in a way that may change what is measured."""
    measure, augment = attribute(one.measured_by or one.name), data.augment
    return bool(
        (data.transpose_semitones and measure.transposed != "same")
        or (augment.tempo_percent and measure.faster != "same")
        or augment.velocity_steps
        or augment.drop_tracks
    )


def _check_labels(settings: ConditionSettings, corpus: Corpus) -> None:
    known = corpus.info["labels"]
    for one in settings.attributes:
        if one.values and one.name not in known:
            raise CorpusError(
                f"{corpus.path}: condition {one.name!r} of the model: no such label; {nearest(one.name, known)}"
            )
