"""The control tokenizer: a prefix that says what a piece is to be, before the ids of any other tokenizer.

Vocabulary, in id order:
    the ids of the base | attribute=value .. attribute=NA of each attribute | CONTROL_SEP
    or, where ``in_place_of`` names ids that the base never writes, those places first.
Grammar:
    (value* CONTROL_SEP)? piece END, the values in the order of the attributes; in fixed order each attribute has
    one. The piece and END are those of the base.
Conventions:
    ``encode`` writes a prefix when conditions are given, ``encode_piece`` what a piece of a corpus is: its labels and
    what is measured from its notes. ``decode`` passes over control tokens wherever they stand.
Lossy in the ways of the base.
"""

from collections.abc import Collection, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np

from etude.errors import TokenError, nearest
from etude.music.score import Score
from etude.tokens import tokenizer_of
from etude.tokens.control_prefix import Conditions, ControlTokens, grammar_with_prefix
from etude.tokens.control_settings import ControlSettings
from etude.tokens.grammar import Grammar
from etude.tokens.id_facts import IdFacts
from etude.tokens.loss_report import report as report_losses
from etude.tokens.note_timing import NoteTiming
from etude.tokens.vocab import Vocab, describe


class ControlTokenizer:
    """Conditions and Scores to ids, and ids to Scores; see the module's header.

    Example:
        >>> density = {"name": "note_density", "thresholds": [4.0, 8.0]}
        >>> tokenizer = ControlTokenizer(ControlSettings.parse({"attributes": [density]}))
        >>> score = Score.of([0], [480], [60], [80], ppq=480)
        >>> tokenizer.vocab.words(tokenizer.encode(score, {"note_density": 2}))[:3]
        ['note_density=<4', 'CONTROL_SEP', 'VELOCITY_20']
        >>> tokenizer.decode(tokenizer.encode(score, {"note_density": 2})).offset_sec
        array([0.5])
    """

    kind = "control"
    settings_class = ControlSettings
    revision = 1
    """Raised when the same settings begin to give other ids."""

    num_codebooks = 1
    report = report_losses

    def __init__(self, settings: ControlSettings | None = None) -> None:
        """Take settings.

        Raises:
            SettingsError: an attribute is measured by something unknown.
            TokenError: the base has several ids a step, or ``in_place_of`` names an id that it writes.
        """
        self.settings = ControlSettings() if settings is None else settings
        self.base = tokenizer_of(self.settings.base)
        if self.base.num_codebooks > 1:
            raise TokenError(
                f"tokenizer.base.kind = '{self.base.kind}': {self.base.num_codebooks} ids a step; a prefix needs a "
                "base of one id a step"
            )
        self._measures = [one.measure for one in self.settings.attributes if one.thresholds]
        words = ControlTokens(self.settings.attributes).names
        self.control = ControlTokens(self.settings.attributes, order=self.settings.order, ids=self._places(len(words)))
        names = [*self.base.vocab.names, *("" for _ in self.control.names)]
        for place, name in zip(self.control.ids.tolist(), self.control.names, strict=True):
            names[place] = name
        self.vocab = Vocab(names[: max(self.base.vocab_size, int(self.control.ids.max()) + 1)])
        self.vocab_size = len(self.vocab)
        self.end_id, self.pad_id = self.base.end_id, self.base.pad_id
        self._is_control = np.zeros(self.vocab_size, bool)
        self._is_control[self.control.ids] = True
        described = describe(self.kind, self.settings, self.vocab, revision=self.revision)
        # ids mean something else when those of the base do
        self.hash = blake2b(f"{self.base.hash} {described['hash']}".encode(), digest_size=8).hexdigest()
        self._json = described | {"hash": self.hash}

    def to_json(self) -> dict[str, Any]:
        """Return ``{schema, version, kind, settings, hash}`` for ``etude.tokens.tokenizer_from_json``."""
        return {**self._json, "settings": dict(self._json["settings"])}

    @property
    def loses(self) -> tuple[str, ...]:
        """What ids do not tell: what the base does not."""
        return self.base.loses

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels that a corpus must have for the prefixes of its pieces."""
        return tuple(one.name for one in self.settings.attributes if not one.thresholds)

    @property
    def measures_spans(self) -> bool:
        """Whether the measures of parts add up to that of the whole."""
        return self.base.measures_spans

    @property
    def transposes_exactly(self) -> bool:
        """Whether ``transpose_ids`` equals the encoding of the transposed piece, and its prefix stays true."""
        return self.base.transposes_exactly and all(one.transposed == "same" for one in self._measures)

    @cached_property
    def grammar(self) -> Grammar:
        """Which ids may come next: those of a prefix, then those of the base."""
        return self.grammar_over(self.base.grammar)

    def grammar_over(self, grammar: Grammar) -> Grammar:
        """Return the rules that a grammar of the base, such as a limited one, gives with a prefix before it."""
        return grammar_with_prefix(grammar, self.control, self.vocab_size)

    @cached_property
    def id_facts(self) -> IdFacts:
        """What ids mean; control tokens have none of these meanings."""
        facts = IdFacts.blank(self.vocab_size)
        for column, known in zip(facts, self.base.id_facts, strict=True):
            column[: len(known)] = np.where(self._is_control[: len(known)], column[: len(known)], known)
        return facts

    @cached_property
    def note_timing(self) -> NoteTiming | None:
        """Which ids begin a key, end it, and let time pass; None where the base does not say."""
        timing = getattr(self.base, "note_timing", None)
        return None if timing is None else timing.padded(self.vocab_size)

    def encode(self, score: Score, conditions: Conditions | None = None) -> np.ndarray:
        """Return the ids of a piece, int32 (T,), without END.

        Args:
            score: the piece.
            conditions: values by attribute for a prefix, ``{}`` for one that says nothing; None for no prefix.

        Raises:
            TokenError: no such attribute or value, or the base refuses the piece.
        """
        ids = self.base.encode(score)
        return ids if conditions is None else np.concatenate([self.prefix(conditions), ids])

    def encode_piece(self, piece: Any) -> np.ndarray:
        """Return the ids of a piece of a corpus with what it is as its prefix.

        Args:
            piece: has ``labels`` and ``score``.
        """
        told = {one.name: one.value_of(piece.labels, piece.score) for one in self.settings.attributes}
        of_base = getattr(self.base, "encode_piece", None)
        ids = self.base.encode(piece.score) if of_base is None else of_base(piece)
        return np.concatenate([self.prefix(told), ids])

    def prefix(self, conditions: Conditions) -> np.ndarray:
        """Return the ids that ask for conditions, int32, CONTROL_SEP last; see ``ControlTokens.prefix``."""
        return self.control.prefix(conditions)

    def prefix_length(self, ids: np.ndarray) -> int:
        """Return how many ids at the beginning of a piece are its prefix."""
        return int(np.argmin(np.append(self._is_control[np.asarray(ids, np.int64)], False)))

    def conditions_of(self, ids: np.ndarray) -> dict[str, str]:
        """Return what the prefix of a piece says."""
        return self.control.conditions_of(np.asarray(ids)[: self.prefix_length(ids)])

    def drop_conditions(self, ids: np.ndarray, names: Collection[str]) -> np.ndarray:
        """Return the ids of a piece whose prefix says nothing of some attributes; without a prefix, the same ids."""
        length = self.prefix_length(ids)
        if not length or not names:
            return ids
        prefix = self.control.without(np.asarray(ids)[:length], names)
        return np.concatenate([prefix.astype(ids.dtype), ids[length:]])

    def decode(self, ids: Sequence[int] | np.ndarray) -> Score:
        """Return the piece that ids tell; control tokens tell nothing of it.

        Raises:
            TokenError: not one row of whole numbers of the vocabulary.
        """
        return self.base.decode(self._of_base(ids))

    def repairs(self, ids: Sequence[int] | np.ndarray) -> dict[str, int]:
        """Count what ``decode`` mends in the piece."""
        return self.base.repairs(self._of_base(ids))

    def measure(self, ids: np.ndarray) -> tuple[int, float]:
        """Return the notes and the seconds in a span of ids, of any shape."""
        ids = np.asarray(ids, np.int64)
        return self.base.measure(ids[~self._is_control[ids]])

    def transpose_ids(self, ids: np.ndarray, semitones: int) -> np.ndarray | None:
        """Return the ids of the piece moved by semitones, or None when a pitch would leave 0..127; its prefix stays.

        The result equals the encoding of the transposed score where ``transposes_exactly``.
        """
        ids = np.asarray(ids)
        is_control = self._is_control[ids]
        moved = self.base.transpose_ids(ids[~is_control], semitones)
        if moved is None:
            return None
        if len(moved) + np.count_nonzero(is_control) != len(ids):
            return np.concatenate([ids[is_control], moved])
        result = ids.copy()
        result[~is_control] = moved
        return result

    def _of_base(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        row = np.asarray(ids)
        if row.ndim == 1 and not row.size:
            return np.empty(0, np.int64)
        if row.ndim != 1 or row.dtype.kind not in "iu":
            raise TokenError(f"ids: expected one row of whole numbers, got {row.dtype} of shape {row.shape}")
        wrong = np.flatnonzero((row < 0) | (row >= self.vocab_size))
        if wrong.size:
            place, last = int(wrong[0]), self.vocab_size - 1
            raise TokenError(f"ids[{place}] = {row[place]}: expected 0..{last}; ids need the tokenizer that made them")
        return row[~self._is_control[row]].astype(np.int64)

    def _places(self, count: int) -> np.ndarray:
        """Return the ids of so many control tokens: unused ones of the base first, then new ones."""
        names, grammar = self.base.vocab.names, self.base.grammar
        is_unused = (grammar.need_low > grammar.need_high).any(axis=1)
        is_unused[[self.base.end_id, self.base.pad_id]] = False
        places = []
        for name in self.settings.in_place_of[:count]:
            place = self.base.vocab.id_of(name)
            if not is_unused[place]:
                unused = [names[one] for one in np.flatnonzero(is_unused)]
                raise TokenError(f"tokenizer.in_place_of: {name!r} is in use; {nearest(name, unused)}")
            places.append(place)
        size = self.base.vocab_size
        return np.array([*places, *range(size, size + count - len(places))])
