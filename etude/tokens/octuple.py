"""The octuple tokenizer: a row of eight ids for each note, one from each of eight codebooks.

Vocabulary, in id order, the dictionary of MusicBERT:
    SECTION PAD END UNKNOWN | BAR_0..255 | POSITION_0..127 | PROGRAM_0..128, 128 for drums | PITCH_0..127 and
    PITCH_128..255 for keys of drums | DURATION_0..127 | VELOCITY_0..31 | METRE_1/1..128/64 | TEMPO_16.0..256.0 | MASK
Grammar:
    ((BAR POSITION PROGRAM PITCH DURATION VELOCITY METRE TEMPO) | SECTION * 8)* END * 8
    rows of a section in order of bar, position, program and pitch, no two alike in these; all rows of a bar with
    one metre, all rows of a position with one tempo. SECTION counts bars from 0 again, 256 bars further on.
Conventions:
    A position is a 16th of a quarter note, also of a beat of any other length. Tracks of one program are pooled; a
    pitch struck again while it sounds ends there.
Lossy in these ways, each bounded:
    onset and end to half a position, a 32nd of a quarter; then durations above 16 positions are rounded down, by at
    most a 17th of themselves up to 4,079 positions, and longer ones last 3,952 (247 quarters); velocity to 2; tempo
    to 2.9 % between 16 and 256 quarters a minute, and changed only where notes begin; metre as ``octuple_bars`` says;
    of notes that strike one pitch of one program at one position the loudest level and the latest end stay.

Source:
    Zeng et al. 2021, "MusicBERT: Symbolic Music Understanding with Large-Scale Pre-Training". There notes of one key
    may overlap, bars beyond the last are cut off or all bars are moved by chance, a change of metre within a bar waits
    for the end of it, and bars without notes may come back in another metre, which moves all that follows.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from etude.errors import TokenError
from etude.music.score import Notes, Score, Tempos, TimeSignatures
from etude.settings import Settings, setting
from etude.tokens.grammar import Grammar
from etude.tokens.id_facts import DRUMS, IdFacts
from etude.tokens.key_strikes import struck_once, tracks_of
from etude.tokens.loss_report import report as report_losses
from etude.tokens.octuple_grammar import octuple_grammar
from etude.tokens.octuple_layout import (
    BAR,
    CODEBOOKS,
    DURATION,
    DURATIONS,
    END,
    METRES,
    PAD,
    PITCH,
    POSITION,
    POSITIONS_PER_QUARTER,
    PROGRAM,
    TEMPOS_QPM,
    names,
)
from etude.tokens.octuple_notes import Told, notes_of_rows, repairs_of_rows
from etude.tokens.octuple_rows import rows_of_score
from etude.tokens.vocab import Vocab, describe

_DECODED_PPQ = 480
_TICKS_PER_POSITION = _DECODED_PPQ // POSITIONS_PER_QUARTER
_TICKS_OF_NO_POSITION = _TICKS_PER_POSITION // 3
"""How long a note of DURATION_0 sounds; it rounds to 0 again."""

VOCAB = Vocab(names())


class OctupleSettings(Settings):
    """What the octuple tokenizer hears."""

    kind: Literal["octuple"] = "octuple"
    pedal: Literal["ignore", "extend"] = setting(
        "ignore", text="extend: a note released while the sustain pedal is down lasts until it comes up"
    )


class OctupleTokenizer:
    """Scores to rows of ids and back; see the module's header.

    Example:
        >>> tokenizer = OctupleTokenizer()
        >>> score = Score.of([480], [480], [60], [80], ppq=480)
        >>> tokenizer.encode(score)
        array([[   4,  276,  388,  577,  789,  921,  942, 1222]], dtype=int32)
        >>> " ".join(tokenizer.vocab.words(tokenizer.encode(score)[0]))
        'BAR_0 POSITION_16 PROGRAM_0 PITCH_60 DURATION_16 VELOCITY_20 METRE_4/4 TEMPO_120.8'
        >>> tokenizer.decode(tokenizer.encode(score)).notes.onset_tick
        array([480], dtype=int32)
    """

    kind = "octuple"
    settings_class = OctupleSettings
    revision = 1
    """Raised when the same settings begin to give other ids."""

    vocab = VOCAB
    vocab_size = len(VOCAB)
    end_id = END
    pad_id = PAD
    codebooks = CODEBOOKS
    """Name, first id and size of each codebook, in the order of a row."""
    num_codebooks = len(CODEBOOKS)
    transposes_exactly = True
    measures_spans = False
    report = report_losses

    def __init__(self, settings: OctupleSettings | None = None) -> None:
        """Take settings; by default notes last as long as their keys are held."""
        self.settings = OctupleSettings() if settings is None else settings
        self._json = describe(self.kind, self.settings, self.vocab, revision=self.revision)
        self.hash: str = self._json["hash"]

    def to_json(self) -> dict[str, Any]:
        """Return ``{schema, version, kind, settings, hash}`` for ``etude.tokens.tokenizer_from_json``."""
        return {**self._json, "settings": dict(self._json["settings"])}

    @property
    def loses(self) -> tuple[str, ...]:
        """What ids do not tell."""
        pedal = ("pedal",) if self.settings.pedal == "ignore" else ()
        return ("key", *pedal, "tracks", "controls", "texts")

    @cached_property
    def grammar(self) -> Grammar:
        """Which ids may come next, of rows laid end to end; every encoding with a row of END after it is legal."""
        return octuple_grammar()

    @cached_property
    def id_facts(self) -> IdFacts:
        """What ids mean. No id begins a bar by itself: every note says which bar it is in."""
        facts = IdFacts.blank(self.vocab_size)
        facts.pitch[PITCH:DURATION] = np.arange(256) % 128
        facts.instrument[PROGRAM:PITCH] = np.arange(129)
        facts.instrument[PITCH + 128 : DURATION] = DRUMS
        facts.starts_note[BAR:POSITION] = True
        return facts

    def encode(self, score: Score) -> np.ndarray:
        """Return the ids of a piece, int32 (T, 8), without END.

        Raises:
            TokenError: a pitch, velocity or time outside MIDI, or a piece of more than a million quarter notes.
        """
        if not len(score.notes):
            return np.empty((0, self.num_codebooks), np.int32)
        return rows_of_score(score, extend_by_pedal=self.settings.pedal == "extend")

    def decode(self, ids: Sequence[Sequence[int]] | np.ndarray) -> Score:
        """Return the piece that rows tell; any ids of the vocabulary tell one.

        A row with END in it ends the piece; rows with an id from another codebook mean nothing. Rows may come in any
        order. Of rows that disagree about the metre of a bar or the tempo of a position, the first one in order of
        position, program and pitch holds. A note whose key is struck again ends there.

        Args:
            ids: 0..1236, (T, 8).

        Returns:
            A track for each program, in 480 ticks a quarter.

        Raises:
            TokenError: not rows of eight whole numbers in 0..1236.
        """
        told = notes_of_rows(_rows(ids))
        metres = np.array(METRES, np.int32)[told.metre]
        return Score(
            ppq=_DECODED_PPQ,
            **_notes_and_tracks(told),
            tempos=_tempos(told),
            time_signatures=TimeSignatures(
                tick=(told.metre_at * _TICKS_PER_POSITION).astype(np.int32),
                numerator=metres[:, 0],
                denominator=metres[:, 1],
            ),
        )

    def repairs(self, ids: Sequence[Sequence[int]] | np.ndarray) -> dict[str, int]:
        """Count the rows that ``decode`` mends; all zero for a legal piece that has ended."""
        return repairs_of_rows(_rows(ids))

    def measure(self, ids: np.ndarray) -> tuple[int, float]:
        """Return the notes of rows and when the last one ends, in seconds from the first bar.

        Example:
            >>> OctupleTokenizer().measure([[4, 276, 388, 577, 789, 921, 942, 1222]])[0]
            1
        """
        score = self.decode(np.asarray(ids).reshape(-1, self.num_codebooks))
        return len(score.notes), score.duration_sec

    def transpose_ids(self, ids: np.ndarray, semitones: int) -> np.ndarray | None:
        """Return the ids of the piece moved by semitones, or None when a pitch would leave 0..127; drums stay.

        The result equals the encoding of the transposed score.
        """
        ids = np.asarray(ids)
        moved = np.arange(self.vocab_size)
        pitch = np.arange(128) + semitones
        moved[PITCH : PITCH + 128] = np.where((pitch >= 0) & (pitch < 128), PITCH + pitch, -1)
        result = moved[ids]
        return None if (result < 0).any() else result.astype(ids.dtype)


def _notes_and_tracks(told: Told) -> dict[str, Any]:
    onset = told.at * _TICKS_PER_POSITION
    duration = np.where(told.duration > 0, DURATIONS[told.duration] * _TICKS_PER_POSITION, _TICKS_OF_NO_POSITION)
    velocity = told.velocity * 4 + 2
    if not len(onset):
        return {"tracks": tracks_of(told.program)[0]}
    key = (told.program << 7 | told.pitch).astype(np.uint16)
    strikes = struck_once(key, onset, onset + duration, velocity)
    order = np.argsort(strikes.onset << 16 | strikes.key)
    key, onset = strikes.key[order], strikes.onset[order]
    tracks, track = tracks_of(key >> 7)
    notes = Notes(
        onset_tick=onset.astype(np.int32),
        duration_tick=(strikes.end[order] - onset).astype(np.int32),
        pitch=(key & 127).astype(np.int32),
        velocity=strikes.value[order].astype(np.int32),
        track=track,
    )
    return {"notes": notes, "tracks": tracks}


def _tempos(told: Told) -> Tempos:
    """Return the changes of tempo; the first tempo holds from the beginning."""
    changes = np.append(True, told.tempo[1:] != told.tempo[:-1])[: len(told.tempo)]
    us_per_quarter = np.rint(60e6 / TEMPOS_QPM[told.tempo[changes]]).astype(np.int32)
    tick = told.at[changes] * _TICKS_PER_POSITION
    tick[:1] = 0
    return Tempos(tick=tick.astype(np.int32), us_per_quarter=us_per_quarter)


def _rows(ids: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
    rows = np.asarray(ids)
    if not rows.size and rows.ndim <= 2:
        return np.empty((0, len(CODEBOOKS)), np.int32)
    if rows.ndim != 2 or rows.shape[1] != len(CODEBOOKS) or rows.dtype.kind not in "iu":
        raise TokenError(f"ids: expected rows of 8 whole numbers, got {rows.dtype} of shape {rows.shape}")
    if rows.min() < 0 or rows.max() >= len(VOCAB):
        row, place = np.argwhere((rows < 0) | (rows >= len(VOCAB)))[0].tolist()
        raise TokenError(
            f"ids[{row}, {place}] = {rows[row, place]}: expected 0..{len(VOCAB) - 1}; "
            f"ids need the tokenizer that made them"
        )
    return rows.astype(np.int32, copy=False)
