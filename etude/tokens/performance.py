"""The performance tokenizer: what a player does, in order of time, in 390 ids.

Vocabulary, in id order:
    NOTE_ON_0..127 | NOTE_OFF_0..127 | TIME_SHIFT_10..1000 by 10 ms | VELOCITY_0..31 | END | PAD
Grammar:
    moment* END, a moment being (TIME_SHIFT_1000* TIME_SHIFT)? NOTE_OFF* (VELOCITY? NOTE_ON)*
    with ends and beginnings each from the lowest pitch up, and VELOCITY where a note's level, velocity // 4,
    differs from that of the note before.
Conventions:
    Every time is rounded to 10 ms by itself, so errors do not add up. Tracks are pooled; a pitch struck
    again while it sounds ends there. Drum tracks, tempo, metre and texts are left out.
Lossy in these ways, each bounded:
    onset and end to 5 ms; a note lasts at least 10 ms; velocity to 3, decoded as the lowest of its level and
    at least 1; of notes that strike one pitch within one step the loudest level and the latest end stay.

Source:
    Oore et al. 2018, "This Time with Feeling"; Huang et al. 2018, "Music Transformer". We round absolute
    times where others round gaps, write a velocity only where the level changes, and mind the pedal.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from etude.errors import TokenError
from etude.music.order import order_of
from etude.music.score import Notes, Score, Tempos, Track
from etude.music.sustain import sustained_end_tick
from etude.settings import Settings, setting
from etude.tokens.grammar import Grammar, Rule
from etude.tokens.id_facts import IdFacts
from etude.tokens.id_row import checked_row
from etude.tokens.loss_report import report as report_losses
from etude.tokens.note_timing import NO_KEY, NoteTiming
from etude.tokens.performance_events import (
    END,
    LONGEST_PIECE,
    LONGEST_SHIFT,
    LONGEST_SHIFT_ID,
    NOTE_OFF,
    NOTE_ON,
    PAD,
    SHIFT_STEPS,
    TIME_SHIFT,
    VELOCITY,
    ids_of_events,
    notes_of_ids,
    sorted_events,
)
from etude.tokens.vocab import Vocab, describe

STEPS_PER_SEC = 100
"""A step is 10 ms."""

_DECODED_PPQ = 500
"""At the 500,000 us of a quarter that ``decode`` writes, a tick is 1 ms."""
_DECODED_TEMPO = Tempos.of(tick=[0], us_per_quarter=[500_000])
_TICKS_PER_STEP = 10

VOCAB = Vocab(
    [f"NOTE_ON_{pitch}" for pitch in range(128)]
    + [f"NOTE_OFF_{pitch}" for pitch in range(128)]
    + [f"TIME_SHIFT_{10 * steps}" for steps in range(1, LONGEST_SHIFT + 1)]
    + [f"VELOCITY_{level}" for level in range(32)]
    + ["END", "PAD"]
)


class PerformanceSettings(Settings):
    """What the performance tokenizer hears."""

    kind: Literal["performance"] = "performance"
    pedal: Literal["extend", "ignore"] = setting(
        "extend", text="extend: a note released while the sustain pedal is down lasts until it comes up"
    )
    drums: Literal["skip", "keep"] = setting(
        "skip", text="skip: leave drum tracks out; keep: encode them as if their notes were pitches"
    )


class PerformanceTokenizer:
    """Scores to ids and back; see the module's header.

    Example:
        >>> tokenizer = PerformanceTokenizer()
        >>> score = Score.of([0], [480], [60], [80], ppq=480)
        >>> tokenizer.encode(score)
        array([376,  60, 305, 188], dtype=int32)
        >>> tokenizer.vocab.words(tokenizer.encode(score))
        ['VELOCITY_20', 'NOTE_ON_60', 'TIME_SHIFT_500', 'NOTE_OFF_60']
        >>> tokenizer.decode([376, 60, 305, 188]).offset_sec
        array([0.5])
    """

    kind = "performance"
    settings_class = PerformanceSettings
    revision = 1
    """Raised when the same settings begin to give other ids."""

    vocab = VOCAB
    vocab_size = len(VOCAB)
    end_id = END
    pad_id = PAD
    num_codebooks = 1
    transposes_exactly = True
    measures_spans = True
    report = report_losses

    def __init__(self, settings: PerformanceSettings | None = None) -> None:
        """Take settings; by default the pedal extends notes and drums are left out."""
        self.settings = PerformanceSettings() if settings is None else settings
        self._json = describe(self.kind, self.settings, self.vocab, revision=self.revision)
        self.hash: str = self._json["hash"]

    def to_json(self) -> dict[str, Any]:
        """Return ``{schema, version, kind, settings, hash}`` for ``etude.tokens.tokenizer_from_json``."""
        return {**self._json, "settings": dict(self._json["settings"])}

    @property
    def loses(self) -> tuple[str, ...]:
        """What ids do not tell."""
        drums = () if self.settings.drums == "keep" else ("drums",)
        return ("tempo", "metre", "key", "tracks", "programs", *drums, "controls", "texts")

    @cached_property
    def grammar(self) -> Grammar:
        """Which ids may come next; every encoding with END after it is legal."""
        return _grammar()

    @cached_property
    def note_timing(self) -> NoteTiming:
        """Which ids begin a key, end it, and let time pass."""
        starts, ends = np.full((2, self.vocab_size), NO_KEY)
        starts[NOTE_ON:NOTE_OFF] = ends[NOTE_OFF:TIME_SHIFT] = np.arange(128)
        # a level is followed by the beginning that it belongs to
        lets_end = np.ones(self.vocab_size, bool)
        lets_end[VELOCITY:END] = False
        return NoteTiming.of_ids(starts, ends, SHIFT_STEPS / STEPS_PER_SEC, lets_end, num_keys=128)

    @cached_property
    def id_facts(self) -> IdFacts:
        """What ids mean: pitches begin and end, and shifts move the clock."""
        facts = IdFacts.blank(self.vocab_size)
        facts.pitch[:TIME_SHIFT] = np.arange(TIME_SHIFT) % 128
        facts.starts_note[NOTE_ON:NOTE_OFF] = True
        facts.ends_note[NOTE_OFF:TIME_SHIFT] = True
        facts.moves_time[TIME_SHIFT:VELOCITY] = True
        return facts

    def encode(self, score: Score) -> np.ndarray:
        """Return the ids of a piece, int32 (T,), without END.

        Raises:
            TokenError: a pitch, velocity or time outside MIDI, or a piece longer than 24 hours.
        """
        notes = score.notes
        if self.settings.drums == "skip" and any(track.is_drum for track in score.tracks):
            pitched = ~np.array([track.is_drum for track in score.tracks])
            notes = notes.take(pitched[notes.track])
        if not len(notes):
            return np.empty(0, np.int32)
        end_tick = np.add(notes.onset_tick, notes.duration_tick, dtype=np.int64)
        if self.settings.pedal == "extend":
            end_tick = sustained_end_tick(score.controls, end_tick, notes.track if len(score.tracks) > 1 else None)
        sec = score.tempo_map.tick_to_sec(np.concatenate([notes.onset_tick, end_tick]))
        _refuse_impossible(notes, last_sec=float(np.maximum.reduce(sec)))
        sec *= STEPS_PER_SEC
        sec += 0.5
        step = sec.astype(np.int32)
        return ids_of_events(sorted_events(step[: len(notes)], step[len(notes) :], notes.pitch, notes.velocity >> 2))

    def decode(self, ids: Sequence[int] | np.ndarray) -> Score:
        """Return the piece that ids tell; any ids of the vocabulary tell one.

        END ends the piece; PAD, whatever comes after 24 hours, and ends of notes that do not sound mean
        nothing. A note struck while it sounds ends there and starts again; a note that nothing ends lasts
        until the last TIME_SHIFT, at least 10 ms; a note that ends at once is left out.

        Args:
            ids: 0..389, (T,).

        Returns:
            One piano track in ticks of 1 ms.

        Raises:
            TokenError: not one row of whole numbers in 0..389.
        """
        told = notes_of_ids(checked_row(ids, self.vocab_size))
        order = order_of(told.onset << 7 | told.pitch)
        notes = Notes(
            onset_tick=(told.onset.take(order) * _TICKS_PER_STEP).astype(np.int32),
            duration_tick=((told.end - told.onset).take(order) * _TICKS_PER_STEP).astype(np.int32),
            pitch=told.pitch.take(order).astype(np.int32),
            velocity=told.velocity.take(order).astype(np.int32),
            track=np.zeros(len(order), np.int32),
        )
        return Score(ppq=_DECODED_PPQ, notes=notes, tracks=(Track(program=0),), tempos=_DECODED_TEMPO)

    def repairs(self, ids: Sequence[int] | np.ndarray) -> dict[str, int]:
        """Count what ``decode`` mends; all zero for a legal piece that has ended.

        Example:
            >>> PerformanceTokenizer().repairs([376, 60, 305, 188, 189])
            {'stray_offs': 1, 'restruck': 0, 'hanging': 0, 'without_length': 0, 'without_velocity': 0}
        """
        return notes_of_ids(checked_row(ids, self.vocab_size)).repairs

    def measure(self, ids: np.ndarray) -> tuple[int, float]:
        """Return the notes and the seconds in a span of ids, of any shape, from anywhere in a piece.

        Example:
            >>> PerformanceTokenizer().measure([376, 60, 305, 188])
            (1, 0.5)
        """
        ids = np.asarray(ids, np.int64)
        return int(np.count_nonzero(ids < NOTE_OFF)), int(SHIFT_STEPS[ids].sum()) / STEPS_PER_SEC

    def transpose_ids(self, ids: np.ndarray, semitones: int) -> np.ndarray | None:
        """Return the ids of the piece moved by semitones, or None when a pitch would leave 0..127.

        The result equals the encoding of the transposed score.

        Example:
            >>> PerformanceTokenizer().transpose_ids(np.array([376, 60, 305, 188]), -2)
            array([376,  58, 305, 186])
        """
        ids = np.asarray(ids)
        moved = np.arange(PAD + 1)
        pitch = moved[:TIME_SHIFT] % 128 + semitones
        moved[:TIME_SHIFT] = np.where((pitch >= 0) & (pitch < 128), moved[:TIME_SHIFT] + semitones, -1)
        result = moved[ids]
        return None if (result < 0).any() else result.astype(ids.dtype)


def _refuse_impossible(notes: Notes, *, last_sec: float) -> None:
    bits = int(np.bitwise_or.reduce(notes.pitch | notes.velocity))
    if not 0 <= bits < 128 or notes.onset_tick[0] < 0:
        raise TokenError("score: a pitch, velocity or time outside MIDI; etude.music.check.check_score names it")
    if last_sec * STEPS_PER_SEC >= LONGEST_PIECE + 0.5:
        hours = last_sec / 3600
        raise TokenError(f"score: {hours:.1f} hours long, expected at most 24; cut it with etude.music.edit.trim")


def _grammar() -> Grammar:
    """Return the rules: real encodings keep them, and whatever keeps them and ends is a valid piece.

    A pitch's cell is 0 while it is silent, 1 when it was just struck, 2 once time has moved and it may end.
    """
    pitches, levels = np.arange(128), 128 + np.arange(32)
    after_short_shift, sounding, phase, num_cells = 160, 161, 162, 163
    no_velocity, free, velocity_told, ended = -1, 0, 1, 2
    initial = np.zeros(num_cells, np.int32)
    initial[phase] = no_velocity
    is_free = (phase, no_velocity, free)
    no_short_shift = (after_short_shift, 0, 0)
    time_moves = [(pitches, 2, 2)]
    rules = [
        Rule(
            ids=NOTE_ON + pitches,
            needs=[(pitches, 0, 0), (phase, free, velocity_told)],
            clears=[after_short_shift, phase],
            adds=[(pitches, 1), (sounding, 1)],
        ),
        Rule(
            ids=NOTE_OFF + pitches,
            needs=[(pitches, 2, 2), is_free],
            clears=[after_short_shift],
            adds=[(pitches, -2), (sounding, -1)],
        ),
        Rule(
            ids=np.arange(TIME_SHIFT, LONGEST_SHIFT_ID),
            needs=[no_short_shift, is_free],
            multiplies=time_moves,
            adds=[(after_short_shift, 1)],
        ),
        Rule(ids=[LONGEST_SHIFT_ID], needs=[no_short_shift, is_free], multiplies=time_moves),
        Rule(
            ids=VELOCITY + np.arange(32),
            # another level than the last one, and a silent pitch for the note that must follow
            needs=[(levels, 0, 0), (sounding, 0, 127), is_free],
            clears=[*levels, after_short_shift, phase],
            adds=[(levels, 1), (phase, velocity_told)],
        ),
        Rule(ids=[END], needs=[(sounding, 0, 0), is_free], clears=[phase], adds=[(phase, ended)]),
    ]
    return Grammar.of(vocab_size=len(VOCAB), initial=initial, rules=rules)
