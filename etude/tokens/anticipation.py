"""The anticipation tokenizer: a triplet of time, duration and note for each note, some of them told ahead.

Vocabulary, in id order, of 55,028 published ids and PAD:
    TIME_0..9999 | DURATION_0..999 | NOTE_0_0..NOTE_128_127, instrument and pitch | REST
    ATIME_0..9999 | ADURATION_0..999 | ANOTE_0_0..ANOTE_128_127 | END | AUTOREGRESS | ANTICIPATE | PAD
Grammar:
    (flag (TIME DURATION (NOTE | REST) | ATIME ADURATION ANOTE)*)* END
    A flag, AUTOREGRESS or in pieces with controls ANTICIPATE, opens each window of 100 s; times count from there.
    Events come in order of time, instrument and pitch; a REST stands wherever a second passes without an event.
Conventions:
    Steps of 10 ms; drums are instrument 128. A control is a note told ahead: it stands as soon as the events have
    come within 5 s of it, or where its window opens. Tracks of one program are pooled; a pitch struck again while it
    sounds ends there.
Lossy in these ways, each bounded:
    onset to 5 ms, end to 10 ms; notes longer than 9.99 s end there; velocity is not told and decodes as 72; of notes
    that strike one pitch of one program at one step the latest end stays.

Source:
    Thickstun et al. 2023, "Anticipatory Music Transformer". There END is called the separator and stands three times
    before each piece, times of training sequences count from their own first time, of which sequences over 100 s
    are dropped, and notes of one pitch may overlap.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from etude.errors import TokenError
from etude.music.score import Notes, Score, Tempos
from etude.music.sustain import sustained_end_tick
from etude.settings import Settings, setting
from etude.tokens.anticipation_grammar import anticipation_grammar
from etude.tokens.anticipation_layout import (
    ANOTE,
    END,
    LONGEST_PIECE,
    NOTE,
    NUM_NOTES,
    PAD,
    STEPS_PER_SEC,
    names,
)
from etude.tokens.anticipation_triplets import Told, ids_of_strikes, notes_of_ids
from etude.tokens.grammar import Grammar
from etude.tokens.id_facts import IdFacts
from etude.tokens.key_strikes import Strikes, keys_of, struck_once, tracks_of
from etude.tokens.loss_report import report as report_losses
from etude.tokens.vocab import Vocab, describe

_DECODED_PPQ = 500
"""At the 500,000 us of a quarter that ``decode`` writes, a tick is 1 ms."""
_TICKS_PER_STEP = 10
_TICKS_OF_NO_STEP = 2
"""How long a note of DURATION_0 sounds; it rounds to 0 again."""
_DECODED_VELOCITY = 72
_DRUM_NOTES = 128 * 128

VOCAB = Vocab(names())


class AnticipationSettings(Settings):
    """What the anticipation tokenizer hears."""

    kind: Literal["anticipation"] = "anticipation"
    pedal: Literal["ignore", "extend"] = setting(
        "ignore", text="extend: a note released while the sustain pedal is down lasts until it comes up"
    )


class AnticipationTokenizer:
    """Scores to ids and back; see the module's header.

    Example:
        >>> tokenizer = AnticipationTokenizer()
        >>> score = Score.of([480, 480], [480, 960], [60, 67], ppq=480)
        >>> tokenizer.vocab.words(tokenizer.encode(score))
        ['AUTOREGRESS', 'TIME_50', 'DURATION_50', 'NOTE_0_60', 'TIME_50', 'DURATION_100', 'NOTE_0_67']
        >>> tokenizer.vocab.words(tokenizer.encode(score, controls=np.array([False, True])))[:4]
        ['ANTICIPATE', 'ATIME_50', 'ADURATION_100', 'ANOTE_0_67']
        >>> tokenizer.decode(tokenizer.encode(score)).offset_sec
        array([1. , 1.5])
    """

    kind = "anticipation"
    settings_class = AnticipationSettings
    revision = 1
    """Raised when the same settings begin to give other ids."""

    vocab = VOCAB
    vocab_size = len(VOCAB)
    end_id = END
    pad_id = PAD
    num_codebooks = 1
    transposes_exactly = True
    measures_spans = False
    report = report_losses

    def __init__(self, settings: AnticipationSettings | None = None) -> None:
        """Take settings; by default notes last as long as their keys are held."""
        self.settings = AnticipationSettings() if settings is None else settings
        self._json = describe(self.kind, self.settings, self.vocab, revision=self.revision)
        self.hash: str = self._json["hash"]

    def to_json(self) -> dict[str, Any]:
        """Return ``{schema, version, kind, settings, hash}`` for ``etude.tokens.tokenizer_from_json``."""
        return {**self._json, "settings": dict(self._json["settings"])}

    @property
    def loses(self) -> tuple[str, ...]:
        """What ids do not tell."""
        pedal = ("pedal",) if self.settings.pedal == "ignore" else ()
        return ("tempo", "metre", "key", "velocity", *pedal, "tracks", "controls", "texts")

    @cached_property
    def grammar(self) -> Grammar:
        """Which ids may come next; every encoding with END after it is legal."""
        return anticipation_grammar()

    @cached_property
    def id_facts(self) -> IdFacts:
        """What ids mean; of the three ids of a note the last one counts it, for a REST begins like a note."""
        facts = IdFacts.blank(self.vocab_size)
        for first in (NOTE, ANOTE):
            facts.pitch[first : first + NUM_NOTES] = np.arange(NUM_NOTES) % 128
            facts.instrument[first : first + NUM_NOTES] = np.arange(NUM_NOTES) // 128
            facts.starts_note[first : first + NUM_NOTES] = True
        return facts

    def encode(self, score: Score, controls: np.ndarray | None = None) -> np.ndarray:
        """Return the ids of a piece, int32 (T,), without END.

        Args:
            score: the piece.
            controls: which notes of ``score.notes`` are told ahead, bool (N,); none by default.
                ``anticipation_controls`` draws them as the published training does.

        Raises:
            TokenError: a pitch or time outside MIDI, or a piece longer than 24 hours.
        """
        if not len(score.notes):
            return np.empty(0, np.int32)
        return ids_of_strikes(self._strikes(score, controls))

    def _strikes(self, score: Score, controls: np.ndarray | None) -> Strikes:
        notes = score.notes
        end_tick = np.add(notes.onset_tick, notes.duration_tick, dtype=np.int64)
        if self.settings.pedal == "extend":
            end_tick = sustained_end_tick(score.controls, end_tick, notes.track if len(score.tracks) > 1 else None)
        sec = score.tempo_map.tick_to_sec(np.concatenate([notes.onset_tick, end_tick]))
        onset, end = sec[: len(notes)], sec[len(notes) :]
        if not 0 <= int(np.bitwise_or.reduce(notes.pitch)) < 128 or notes.onset_tick[0] < 0:
            raise TokenError("score: a pitch or time outside MIDI; etude.music.check.check_score names it")
        step = np.rint(onset * STEPS_PER_SEC).astype(np.int64)
        if step[-1] >= LONGEST_PIECE:
            hours = onset[-1] / 3600
            raise TokenError(f"score: {hours:.1f} hours long, expected at most 24; cut it with etude.music.edit.trim")
        end_step = step + np.rint((end - onset) * STEPS_PER_SEC).astype(np.int64)
        is_control = np.zeros(len(notes), np.int8) if controls is None else np.asarray(controls, bool).astype(np.int8)
        if len(is_control) != len(notes):
            raise TokenError(f"controls: {len(is_control)} of {len(notes)} notes; expected one bool for each note")
        return struck_once(keys_of(score), step, end_step, is_control)

    def decode(self, ids: Sequence[int] | np.ndarray) -> Score:
        """Return the piece that ids tell; any ids of the vocabulary tell one.

        END ends the piece unless nothing came before it. Controls are notes like others. Ids that are not part of a
        triplet, and whatever begins after 24 hours, mean nothing; before the first flag times count from 0. A note
        whose key is struck again ends there.

        Args:
            ids: 0..55028, (T,).

        Returns:
            A track for each program, in ticks of 1 ms.

        Raises:
            TokenError: not one row of whole numbers in 0..55028.
        """
        strikes = _strikes_of(notes_of_ids(_row(ids)))
        tempos = Tempos.of(tick=[0], us_per_quarter=[500_000])
        if strikes is None:
            return Score(ppq=_DECODED_PPQ, tracks=tracks_of(np.empty(0, np.int64))[0], tempos=tempos)
        tracks, track = tracks_of(strikes.key >> 7)
        notes = Notes(
            onset_tick=strikes.onset.astype(np.int32),
            duration_tick=(strikes.end - strikes.onset).astype(np.int32),
            pitch=(strikes.key & 127).astype(np.int32),
            velocity=np.full(len(track), _DECODED_VELOCITY, np.int32),
            track=track,
        )
        return Score(ppq=_DECODED_PPQ, notes=notes, tracks=tracks, tempos=tempos)

    def controls_of(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return which notes of what ``decode`` returns were told ahead, bool (N,).

        Example:
            >>> tokenizer = AnticipationTokenizer()
            >>> score = Score.of([480, 480], [480, 960], [60, 67], ppq=480)
            >>> tokenizer.controls_of(tokenizer.encode(score, controls=np.array([False, True])))
            array([False,  True])
        """
        strikes = _strikes_of(notes_of_ids(_row(ids)))
        return np.empty(0, bool) if strikes is None else strikes.value.astype(bool)

    def repairs(self, ids: Sequence[int] | np.ndarray) -> dict[str, int]:
        """Count what ``decode`` mends; all zero for a legal piece that has ended."""
        return notes_of_ids(_row(ids)).repairs

    def measure(self, ids: np.ndarray) -> tuple[int, float]:
        """Return the notes of ids and when the last one ends, in seconds from the first window.

        Example:
            >>> AnticipationTokenizer().measure([55026, 50, 10050, 11060])
            (1, 1.0)
        """
        score = self.decode(np.asarray(ids).reshape(-1))
        return len(score.notes), score.duration_sec

    def transpose_ids(self, ids: np.ndarray, semitones: int) -> np.ndarray | None:
        """Return the ids of the piece moved by semitones, or None when a pitch would leave 0..127; drums stay.

        The result equals the encoding of the transposed score.

        Example:
            >>> AnticipationTokenizer().transpose_ids(np.array([55026, 50, 10050, 11060]), -2)
            array([55026,    50, 10050, 11058])
        """
        ids = np.asarray(ids)
        moved = np.arange(self.vocab_size)
        pitch = np.arange(_DRUM_NOTES) % 128 + semitones
        for first in (NOTE, ANOTE):
            pitched = slice(first, first + _DRUM_NOTES)
            moved[pitched] = np.where((pitch >= 0) & (pitch < 128), moved[pitched] + semitones, -1)
        result = moved[ids]
        return None if (result < 0).any() else result.astype(ids.dtype)


def _strikes_of(told: Told) -> Strikes | None:
    """Return notes in ticks, in the order of a score; None without notes."""
    if not len(told.onset):
        return None
    onset = told.onset * _TICKS_PER_STEP
    end = onset + np.where(told.duration > 0, told.duration * _TICKS_PER_STEP, _TICKS_OF_NO_STEP)
    strikes = struck_once(told.key.astype(np.uint16), onset, end, told.is_control.astype(np.int8))
    order = np.argsort(strikes.onset << 16 | strikes.key)
    return Strikes(*(column[order] for column in strikes))


def _row(ids: Sequence[int] | np.ndarray) -> np.ndarray:
    row = np.asarray(ids)
    if row.ndim == 1 and not row.size:
        return np.empty(0, np.int64)
    if row.ndim != 1 or row.dtype.kind not in "iu":
        raise TokenError(f"ids: expected one row of whole numbers, got {row.dtype} of shape {row.shape}")
    wrong = np.flatnonzero((row < 0) | (row > PAD))
    if wrong.size:
        place = int(wrong[0])
        raise TokenError(f"ids[{place}] = {row[place]}: expected 0..{PAD}; ids need the tokenizer that made them")
    return row.astype(np.int64)
