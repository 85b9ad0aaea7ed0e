"""Learned merges over the ids of any other tokenizer: byte pair encoding.

Vocabulary, in id order:
    the ids of the base | one id for each merge, named by the names of the ids that it stands for
Grammar:
    that of the base: a merged id is legal where the ids that it stands for are, exactly.
Conventions:
    ``encode`` merges the ids of the base in the order in which merges were learned; no merge reaches over the
    beginning of a word (``within``). Merges are learned by ``etude tokenize --bpe``; without any, ids are those
    of the base.
Lossy as the base is, in no way more.

Source:
    Sennrich et al. 2016; Fradet et al. 2023, "Byte Pair Encoding for Symbolic Music". By default our merges stay
    inside the group of ids of one note, where theirs stay inside a bar or a beat.
"""

from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np

from etude.errors import SettingsError, TokenError
from etude.music.score import Score
from etude.tokens import tokenizer_of
from etude.tokens.bpe_learn import Pair
from etude.tokens.bpe_merge import Merger
from etude.tokens.bpe_settings import BpeSettings, begins_word
from etude.tokens.grammar import Grammar
from etude.tokens.id_facts import NO_INSTRUMENT, NO_PITCH, IdFacts
from etude.tokens.loss_report import report as report_losses
from etude.tokens.note_timing import NoteTiming
from etude.tokens.vocab import Vocab, describe


class BpeTokenizer:
    """Scores to merged ids and back; see the module's header.

    Attributes:
        base: the tokenizer whose ids are merged.
        num_codebooks, transposes_exactly, measures_spans, loses, pad_id, end_id: those of the base.

    Example:
        >>> tokenizer = BpeTokenizer(BpeSettings(merges=((376, 60), (305, 188))))
        >>> score = Score.of([0], [480], [60], [80], ppq=480)
        >>> tokenizer.encode(score)
        array([390, 391], dtype=int32)
        >>> tokenizer.vocab.words([390])
        ['VELOCITY_20 NOTE_ON_60']
        >>> tokenizer.expand([390, 391])
        array([376,  60, 305, 188], dtype=int32)
    """

    kind = "bpe"
    settings_class = BpeSettings
    revision = 1
    """Raised when the same settings begin to give other ids."""
    report = report_losses

    def __init__(self, settings: BpeSettings | None = None) -> None:
        """Take settings; the merges have to be those of the base's vocabulary.

        Raises:
            SettingsError: merges that do not fit, or a base that gives several ids a step.
        """
        self.settings = BpeSettings() if settings is None else settings
        self.base = base = tokenizer_of(self.settings.base)
        if base.num_codebooks != 1:
            raise SettingsError(
                f"tokenizer.base.kind = {base.kind!r}: {base.num_codebooks} ids a step; merges need one id a step"
            )
        if hasattr(base, "drop_conditions"):
            kind = base.kind
            raise SettingsError(
                f"tokenizer.base.kind = {kind!r}: merges would swallow its prefix; make bpe the base of {kind}"
            )
        self.num_codebooks = 1
        self.transposes_exactly, self.measures_spans = base.transposes_exactly, base.measures_spans
        self.loses: tuple[str, ...] = base.loses
        self.end_id, self.pad_id = base.end_id, base.pad_id
        self._begins_word = begins_word(base.id_facts, self.settings.within)
        self._spelt = _spelt(self.settings.merges, base)
        self.vocab_size = len(self._spelt)
        self._merger = Merger(self.settings.merges, base.vocab_size)
        self._length = np.array([len(spelling) for spelling in self._spelt])
        self._start = np.cumsum(self._length) - self._length
        self._all_spelt = np.concatenate(self._spelt).astype(np.int32)
        described = describe(self.kind, self.settings, self.vocab, revision=self.revision)
        # what the base's ids mean is part of what these mean
        self.hash = blake2b(f"{base.hash} {described['hash']}".encode(), digest_size=8).hexdigest()
        self._json = described | {"hash": self.hash}

    @cached_property
    def vocab(self) -> Vocab:
        """Names of ids; a merged id has the names of what it stands for, with spaces between them."""
        names = self.base.vocab.names
        return Vocab(" ".join(names[token_id] for token_id in spelling) for spelling in self._spelt)

    @cached_property
    def grammar(self) -> Grammar:
        """Which ids may come next: those whose ids of the base may come next, one after the other."""
        return self.grammar_over(self.base.grammar)

    @cached_property
    def id_facts(self) -> IdFacts:
        """What ids mean: of a merged id the first pitch and instrument that it names, and all else it does."""
        base = self.base.id_facts
        flags = (np.logical_or.reduceat(column[self._all_spelt], self._start) for column in base[2:])
        pitch = self._first_named(base.pitch, NO_PITCH)
        return IdFacts(pitch, self._first_named(base.instrument, NO_INSTRUMENT), *flags)

    @cached_property
    def note_timing(self) -> NoteTiming | None:
        """Which keys ids begin and end, and how time passes inside of them; None where the base does not say."""
        timing = getattr(self.base, "note_timing", None)
        return None if timing is None else timing.joined(self._all_spelt, self._length)

    def to_json(self) -> dict[str, Any]:
        """Return ``{schema, version, kind, settings, hash}`` for ``etude.tokens.tokenizer_from_json``."""
        return {**self._json, "settings": dict(self._json["settings"])}

    def with_merges(self, merges: Sequence[Pair]) -> "BpeTokenizer":
        """Return a tokenizer of the same base and words with other merges."""
        return BpeTokenizer(BpeSettings(base=self.settings.base, within=self.settings.within, merges=tuple(merges)))

    def encode(self, score: Score, **given: Any) -> np.ndarray:
        """Return the ids of a piece, int32 (T,), without END.

        Args:
            score: the piece.
            given: what else the base's ``encode`` takes.

        Raises:
            TokenError: the base cannot encode it.
        """
        return self.merge(self.base.encode(score, **given))

    def encode_piece(self, piece: Any) -> np.ndarray:
        """Return the ids of a piece of a corpus, with what the base writes of it besides its notes."""
        of_base = getattr(self.base, "encode_piece", None)
        return self.merge(self.base.encode(piece.score) if of_base is None else of_base(piece))

    def decode(self, ids: Sequence[int] | np.ndarray) -> Score:
        """Return the piece that ids tell; any ids of the vocabulary tell one, as the base reads it.

        Raises:
            TokenError: not one row of whole numbers in the vocabulary.
        """
        row = np.asarray(ids)
        # the base says what is wrong with anything but a row of whole numbers
        return self.base.decode(self.expand(row) if row.ndim == 1 and row.dtype.kind in "iu" else ids)

    def repairs(self, ids: Sequence[int] | np.ndarray) -> dict[str, int]:
        """Count what ``decode`` mends, as the base counts it."""
        return self.base.repairs(self.expand(ids))

    def merge(self, ids: np.ndarray) -> np.ndarray:
        """Return ids of the base with all merges done, int32.

        Args:
            ids: of the base, (T,).
        """
        return self._merger.merge(ids, self.word_starts(ids))

    def word_starts(self, ids: np.ndarray) -> np.ndarray:
        """Return where words begin in ids of the base, int64, from 0 on."""
        begins = self._begins_word[ids]
        begins[:1] = True
        return begins.nonzero()[0]

    def expand(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the ids of the base that ids stand for, int32.

        Args:
            ids: whole numbers, (T,).

        Raises:
            TokenError: outside the vocabulary.
        """
        ids = np.asarray(ids, np.int64)
        wrong = np.flatnonzero((ids < 0) | (ids >= self.vocab_size))
        if wrong.size:
            place = int(wrong[0])
            raise TokenError(
                f"ids[{place}] = {ids[place]}: expected 0..{self.vocab_size - 1}; ids need the tokenizer that made them"
            )
        length = self._length[ids]
        ends = np.cumsum(length)
        place = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self._start[ids] - (ends - length), length)
        return self._all_spelt[place]

    def measure(self, ids: np.ndarray) -> tuple[int, float]:
        """Return the notes and the seconds in a span of ids, of any shape, as the base measures them."""
        return self.base.measure(self.expand(np.asarray(ids).ravel()))

    def transpose_ids(self, ids: np.ndarray, semitones: int) -> np.ndarray | None:
        """Return the ids of the piece moved by semitones, or None when the base has none for it.

        There may be more of them or fewer, because merges were learned from music in some keys more than others.
        """
        ids = np.asarray(ids)
        moved = self.base.transpose_ids(self.expand(ids), semitones)
        return None if moved is None else self.merge(moved).astype(ids.dtype)

    def grammar_over(self, grammar: Grammar) -> Grammar:
        """Return a grammar of the base's ids, such as a limited one, for these ids."""
        return grammar.merged(self._spelt[self.base.vocab_size :])

    def _first_named(self, column: np.ndarray, none: int) -> np.ndarray:
        """Return for each id the first value other than ``none`` in what it stands for."""
        named = np.flatnonzero(column[self._all_spelt] != none)
        owner = np.repeat(np.arange(self.vocab_size), self._length)[named]
        which, first = np.unique(owner, return_index=True)
        values = np.full(self.vocab_size, none, column.dtype)
        values[which] = column[self._all_spelt[named[first]]]
        return values


def _spelt(merges: Sequence[Pair], base: Any) -> list[tuple[int, ...]]:
    """Return what each id stands for in ids of the base."""
    spelt: list[tuple[int, ...]] = [(token_id,) for token_id in range(base.vocab_size)]
    known = set(spelt)
    for place, pair in enumerate(merges):
        if not all(0 <= token_id < len(spelt) for token_id in pair):
            raise SettingsError(f"tokenizer.merges[{place}] = {list(pair)}: expected ids below {len(spelt)}")
        if {base.end_id, base.pad_id} & set(pair):
            raise SettingsError(f"tokenizer.merges[{place}] = {list(pair)}: END and PAD are never merged")
        spelling = spelt[pair[0]] + spelt[pair[1]]
        if spelling in known:
            raise SettingsError(f"tokenizer.merges[{place}] = {list(pair)}: stands for the same ids as a merge before")
        known.add(spelling)
        spelt.append(spelling)
    return spelt
