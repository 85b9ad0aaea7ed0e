"""What a piece may hold while it is written: pitches, instruments, a scale, so many notes at once, so many bars.

Limits narrow any grammar down to another one, with at most two cells more, so masks stay as fast as they were.
An id that could only lead to something forbidden is forbidden too.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import model_validator

from etude.errors import SettingsError, nearest
from etude.settings import Settings, setting
from etude.tokens.grammar import ANY, Grammar
from etude.tokens.grammar_paths import Paths
from etude.tokens.id_facts import DRUMS, IdFacts

_STEPS = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "melodic minor": (0, 2, 3, 5, 7, 9, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "major pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "whole-tone": (0, 2, 4, 6, 8, 10),
    "chromatic": tuple(range(12)),
}
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}


class Limits(Settings):
    """What a piece may hold; drums, where they have ids of their own, are free of the limits of pitch."""

    lowest_pitch: int = setting(0, ge=0, le=127, text="lowest pitch")
    highest_pitch: int = setting(127, ge=0, le=127, text="highest pitch")
    scale: str = setting("", text="such as `D minor` or `F# blues`; empty for all pitches")
    instruments: tuple[int, ...] = setting((), text="programs 0 to 127, and 128 for drums; empty for all")
    polyphony: int = setting(
        0, ge=0, text="notes that sound at once, or begin at once where ids do not end notes; 0 for any number"
    )
    bars: int = setting(0, ge=0, unit="bars", text="bars after which the piece has ended; 0 for any number")

    @model_validator(mode="after")
    def _possible(self) -> "Limits":
        if self.scale:
            pitch_classes(self.scale)
        wrong = [number for number in self.instruments if not 0 <= number <= DRUMS]
        if wrong:
            raise ValueError(f"instruments = {wrong[0]}: expected 0..127, or {DRUMS} for drums")
        if not self.pitches().size:
            named = self.scale or "any scale"
            raise ValueError(
                f"highest_pitch = {self.highest_pitch}: no pitch of {named} from {self.lowest_pitch} to there; "
                "widen the range"
            )
        return self

    def pitches(self) -> np.ndarray:
        """Return the pitches that are allowed, ascending."""
        pitch = np.arange(self.lowest_pitch, self.highest_pitch + 1)
        return pitch[np.isin(pitch % 12, pitch_classes(self.scale))] if self.scale else pitch


def pitch_classes(scale: str) -> tuple[int, ...]:
    """Return the pitch classes of a scale, C being 0.

    Raises:
        ValueError: no such scale.

    Example:
        >>> pitch_classes("D minor")
        (0, 2, 4, 5, 7, 9, 10)
    """
    tonic, _, name = scale.strip().partition(" ")
    letter, accidental = tonic[:1].upper(), tonic[1:]
    if letter not in _LETTERS or accidental not in _ACCIDENTALS:
        raise ValueError(f"scale = {scale!r}: expected a tonic first, such as C, F# or Bb")
    if name.strip() not in _STEPS:
        raise ValueError(f"scale = {scale!r}: no scale {name.strip()!r}; {nearest(name.strip(), _STEPS)}")
    first = _LETTERS[letter] + _ACCIDENTALS[accidental]
    return tuple(sorted((first + step) % 12 for step in _STEPS[name.strip()]))


def limited_grammar(tokenizer: Any, limits: Limits) -> Grammar:
    """Return the grammar of a tokenizer, narrowed down.

    A tokenizer whose ids stand on those of a ``base`` has ``grammar_over``, which takes the base's grammar to its
    own; there the base is limited, because its ids say more clearly what they are.

    Raises:
        SettingsError: the tokenizer's ids do not tell what is to be limited.
    """
    if hasattr(tokenizer, "grammar_over"):
        return tokenizer.grammar_over(limited_grammar(tokenizer.base, limits))
    return limited(tokenizer.grammar, tokenizer.id_facts, limits)


def limited(grammar: Grammar, facts: IdFacts, limits: Limits) -> Grammar:
    """Return a grammar, narrowed down.

    Args:
        grammar: of any tokenizer.
        facts: what its ids mean.
        limits: what a piece may hold.

    Raises:
        SettingsError: the ids do not tell what is to be limited.

    Example:
        >>> from etude.tokens import build_tokenizer
        >>> tokenizer = build_tokenizer("performance")
        >>> in_c = limited(tokenizer.grammar, tokenizer.id_facts, Limits(scale="C major", polyphony=1))
        >>> in_c.first_illegal([376, 60, 305, 188]), in_c.first_illegal([376, 61])
        (None, 1)
    """
    _refuse_unknown(facts, limits)
    narrowed = _without(grammar, _forbidden(facts, limits))
    if not (facts.starts_note & (narrowed.need_low <= narrowed.need_high).all(1)).any():
        raise SettingsError("limits: no note is left that a piece may hold; allow more instruments or pitches")
    polyphony = limits.polyphony
    if facts.ends_note.any() and (few := len(limits.pitches())) < 128:
        # no more can sound, and what announces a note has to know it
        polyphony = min(polyphony or few, few)
    if polyphony:
        narrowed = _with_polyphony(narrowed, facts, polyphony)
    return _with_bars(narrowed, facts, limits.bars) if limits.bars else narrowed


def _refuse_unknown(facts: IdFacts, limits: Limits) -> None:
    if limits.instruments and not (facts.instrument >= 0).any():
        raise SettingsError("limits.instruments: the tokenizer's ids name no instrument; leave it empty")
    if limits.polyphony and not (facts.ends_note | facts.moves_time).any():
        raise SettingsError("limits.polyphony: the tokenizer's ids neither end notes nor move the clock; leave it 0")
    if limits.bars and not facts.opens_bar.any():
        raise SettingsError("limits.bars: the tokenizer's ids begin no bars; leave it 0, or limit the seconds")


def _forbidden(facts: IdFacts, limits: Limits) -> np.ndarray:
    # what ends a note stays legal, so that a prompt with other notes can be continued
    wrong = (facts.pitch >= 0) & (facts.instrument != DRUMS) & ~np.isin(facts.pitch, limits.pitches())
    if limits.instruments:
        instrument = facts.instrument
        if not ((instrument >= 0) & (instrument < DRUMS)).any():
            # only drums have ids of their own: all other notes are the piano's
            instrument = np.where((instrument < 0) & (facts.pitch >= 0), 0, instrument)
        wrong |= (instrument >= 0) & ~np.isin(instrument, limits.instruments)
    return wrong & ~facts.ends_note


def _without(grammar: Grammar, forbidden: np.ndarray) -> Grammar:
    """Return a grammar without some ids, and without those that would lead to nothing else."""
    if not forbidden.any():
        return grammar
    ends = Paths(grammar).ends()
    while True:
        low, high = grammar.need_low.copy(), grammar.need_high.copy()
        low[forbidden], high[forbidden] = ANY, -ANY
        narrowed = replace(grammar, need_low=low, need_high=high)
        more = forbidden | (Paths(narrowed).ends() & ~ends)
        if (more == forbidden).all():
            return narrowed
        forbidden = more


def _with_polyphony(grammar: Grammar, facts: IdFacts, most: int) -> Grammar:
    announces = Paths(grammar).leads_only_to(facts.starts_note)
    if facts.ends_note.any():
        clears, change = np.zeros_like(facts.ends_note), facts.starts_note.astype(int) - facts.ends_note
    else:
        clears, change = facts.moves_time, facts.starts_note.astype(int)
    below = (facts.starts_note | announces) & ~clears
    return _with_cell(grammar, clears=clears, adds=change, needs=below, most=most - 1)


def _with_bars(grammar: Grammar, facts: IdFacts, most: int) -> Grammar:
    paths = Paths(grammar)
    needs = facts.opens_bar
    if paths.reaches(facts.starts_note, without=facts.opens_bar):
        # music comes before the first of these ids, which therefore end a bar: then nothing but the end
        needs = ~paths.ends()
    return _with_cell(
        grammar, clears=np.zeros_like(needs), adds=facts.opens_bar.astype(int), needs=needs, most=most - 1
    )


def _with_cell(grammar: Grammar, *, clears: np.ndarray, adds: np.ndarray, needs: np.ndarray, most: int) -> Grammar:
    """Return a grammar with a cell more, which counts.

    Args:
        grammar: the rest of it.
        clears: ids that set the count to 0 before they add; bool (V,).
        adds: what each id adds; int (V,).
        needs: ids that are legal only while the count is at most ``most``; bool (V,).
        most: see ``needs``.
    """
    cell, count = len(grammar.initial), grammar.vocab_size

    def column(values: Any) -> np.ndarray:
        return np.broadcast_to(np.asarray(values, np.int32), (count,))[:, None]

    def wider(table: np.ndarray, values: Any) -> np.ndarray:
        return np.concatenate([table, column(values)], axis=1)

    def twice(table: np.ndarray, kept: int, cleared: int) -> np.ndarray:
        return np.concatenate([np.pad(table, ((0, 0), (0, 1)), constant_values=value) for value in (kept, cleared)])

    changes: dict[str, Any] = {
        "initial": np.append(grammar.initial, 0).astype(grammar.initial.dtype),
        "need_cell": wider(grammar.need_cell, np.where(needs, cell, 0)),
        "need_low": wider(grammar.need_low, -ANY),
        "need_high": wider(grammar.need_high, np.where(needs, most, ANY)),
        "rule": (grammar.rule + np.where(clears, len(grammar.scale), 0)).astype(grammar.rule.dtype),
        "scale": twice(grammar.scale, 1, 0),
        "cap": twice(grammar.cap, ANY, ANY),
        "add_cell": wider(grammar.add_cell, np.where(adds != 0, cell, 0)),
        "add_value": wider(grammar.add_value, adds),
    }
    if hasattr(grammar, "source"):
        changes["source"] = twice(grammar.source, cell, cell)
    return replace(grammar, **changes)
