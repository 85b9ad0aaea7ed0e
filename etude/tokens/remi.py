"""The `remi` tokenizer: bars, positions and notes of any instruments, in the 1,253 ids of MuseCoco.

Vocabulary, in id order:
    <s> PAD END <unk> | b-0..1 | o-0..127 | i-0..128 | p-0..255 | d-0..127 | v-0..31 | s-0..253 | t-0..48 | e-0..1 |
    <sep> | 268 names of attributes
Grammar:
    (s-METRE t-TEMPO (o-POSITION (i-INSTRUMENT (p-PITCH d-DURATION v-VELOCITY)+)+)* b-1)* END
    with a tempo after each position instead of each metre in the form ``remigen``; ``remi_grammar`` has the rest.
Conventions:
    A position is a twelfth of a quarter note, counted from its bar line. Bars go from the start of the piece to
    its last onset. Tracks of one instrument are merged, equal notes are all kept. Drums are instrument 128, their
    pitches 128 higher. Attributes and ``<sep>`` before the music belong to who writes prompts: ``encode`` never
    writes them, ``decode`` passes over them.
Lossy in these ways, each bounded:
    onset and end to half a position, a twenty-fourth of a quarter note; a duration then becomes the next shorter of
    95 lengths, less than a twelfth shorter than it was, at least 1 position and at most 2,932; velocity to 2, the
    lowest, 1, decoded as 2; tempo to a twenty-fourth of a doubling, within 16 to 256 quarter notes a minute, and
    only where it is written; a metre that changes inside a bar holds from the next bar line. Pedal, keys, texts
    and other controls are left out; the reduced form has no velocity, tempo and metre either, and its bars are 4/4.

Source:
    Lu et al. 2023, "MuseCoco". Different here: a note lasts at least a position, where it may have none there;
    bars of a metre such as 3/32 are as long as it says; the nearest C major or A minor is taken for
    ``normalise_key``.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from etude.music.score import Score
from etude.settings import Settings, setting
from etude.tokens.grammar import Grammar
from etude.tokens.id_facts import IdFacts
from etude.tokens.id_row import checked_row
from etude.tokens.loss_report import report as report_losses
from etude.tokens.remi_grammar import grammar_of
from etude.tokens.remi_grid import grid_of
from etude.tokens.remi_ids import FORMS, bars_of, ids_of_notes, places_of
from etude.tokens.remi_notes import Told, kinds_of, notes_of_ids
from etude.tokens.remi_placing import placed_notes, tempos_at
from etude.tokens.remi_score import score_of
from etude.tokens.remi_vocab import (
    BAR,
    DRUMS,
    DURATION,
    END,
    INSTRUMENT,
    METRE,
    NAMES,
    PAD,
    PITCH,
    POSITION,
    TEMPO,
    check_replaced,
    read_replaced,
    vocab_of,
    write_dict,
)
from etude.tokens.vocab import describe


class RemiSettings(Settings):
    """What the remi tokenizer writes."""

    kind: Literal["remi"] = "remi"
    form: Literal["remigen2", "remigen", "reduced"] = setting(
        "remigen2",
        text="remigen2: a tempo a bar; remigen: a tempo at every position; reduced: no velocity, tempo and metre, "
        "and an instrument before every note",
    )
    pedal: Literal["ignore", "extend"] = setting(
        "ignore", text="extend: a note released while the sustain pedal is down lasts until it comes up"
    )
    normalise_key: bool = setting(False, text="move every piece to C major or A minor, whichever is nearest")
    replaced: dict[str, str] = setting({}, text="names of ids that are not used, and the names that take their places")

    @model_validator(mode="after")
    def _check_replaced(self) -> "RemiSettings":
        check_replaced(self.replaced, is_reduced=self.form == "reduced")
        return self


class RemiTokenizer:
    """Scores to ids and back; see the module's header.

    Example:
        >>> tokenizer = RemiTokenizer()
        >>> score = Score.of([0, 0, 720], [480, 480, 240], [60, 64, 67], [80, 80, 83], ppq=480)
        >>> " ".join(tokenizer.vocab.words(tokenizer.encode(score)))
        's-9 t-35 o-0 i-0 p-64 d-12 v-20 p-60 d-12 v-20 o-18 i-0 p-67 d-6 v-20 b-1'
        >>> tokenizer.decode(tokenizer.encode(score)).notes.onset_tick
        array([  0,   0, 720], dtype=int32)
    """

    kind = "remi"
    settings_class = RemiSettings
    revision = 1
    """Raised when the same settings begin to give other ids."""

    vocab_size = len(NAMES)
    end_id = END
    pad_id = PAD
    num_codebooks = 1
    transposes_exactly = True
    measures_spans = False
    report = report_losses

    def __init__(self, settings: RemiSettings | None = None) -> None:
        """Take settings; by default what the published encoder writes."""
        self.settings = RemiSettings() if settings is None else settings
        self.vocab = vocab_of(self.settings.replaced)
        self._form = FORMS[self.settings.form]
        is_replaced = np.array([name in self.settings.replaced for name in NAMES])
        self._kind_of = kinds_of(is_replaced)
        self._json = describe(self.kind, self.settings, self.vocab, revision=self.revision)
        self.hash: str = self._json["hash"]

    @classmethod
    def from_dict(cls, path: Path | str, **settings: Any) -> "RemiTokenizer":
        """Return the tokenizer of a ``dict.txt`` in which new names stand in the place of unused ones.

        Raises:
            FormatError: not a dictionary of 1,249 lines, each a name and a count.
            SettingsError: a name that is used was replaced, or another setting is wrong.
        """
        return cls(RemiSettings.parse(settings | {"replaced": read_replaced(path)}, where="tokenizer"))

    def write_dict(self, path: Path | str) -> None:
        """Write the names as ``dict.txt``, a line each with a count of 1; the first four ids have no line."""
        write_dict(path, self.vocab)

    def to_json(self) -> dict[str, Any]:
        """Return ``{schema, version, kind, settings, hash}`` for ``etude.tokens.tokenizer_from_json``."""
        return {**self._json, "settings": dict(self._json["settings"])}

    @property
    def loses(self) -> tuple[str, ...]:
        """What ids do not tell."""
        reduced = ("tempo", "metre", "velocity") if self.settings.form == "reduced" else ()
        pedal = ("pedal",) if self.settings.pedal == "ignore" else ()
        return (*reduced, "key", *pedal, "tracks", "controls", "texts")

    @cached_property
    def grammar(self) -> Grammar:
        """Which ids may come next; every encoding with END after it is legal."""
        return grammar_of(self._form)

    @cached_property
    def id_facts(self) -> IdFacts:
        """What single ids mean."""
        facts = IdFacts.blank(self.vocab_size)
        keys, instruments = np.arange(128), np.arange(DRUMS + 1)
        facts.pitch[PITCH + keys] = facts.pitch[PITCH + DRUMS + keys] = keys
        facts.instrument[PITCH + DRUMS + keys] = DRUMS
        facts.instrument[INSTRUMENT + instruments] = instruments
        # the reduced form has no id that begins a bar; the end of one opens the next
        facts.opens_bar[slice(METRE, TEMPO) if self._form.metre else BAR] = True
        facts.starts_note[slice(INSTRUMENT, PITCH) if self._form.instrument else slice(PITCH, DURATION)] = True
        facts.moves_time[BAR] = facts.moves_time[POSITION:INSTRUMENT] = True
        return facts

    def encode(self, score: Score) -> np.ndarray:
        """Return the ids of a piece, int32 (T,), without END.

        Raises:
            TokenError: a pitch, velocity, program or time outside MIDI, or a piece of more than 1,000,000 quarter
                notes.
        """
        if not len(score.notes):
            return np.empty(0, np.int32)
        form = self._form
        grid = grid_of(score.time_signatures if form.metre else None, score.ppq)
        key = placed_notes(
            score,
            grid,
            extend_by_pedal=self.settings.pedal == "extend",
            normalise_key=self.settings.normalise_key,
        )
        bars = bars_of(key)
        return ids_of_notes(
            key,
            form,
            metre=grid.metre_of_bars(len(bars)) if form.metre else 0,
            bar_tempo=tempos_at(score, grid, bars) if form.bar_tempo else 0,
            tempo=tempos_at(score, grid, places_of(key)) if form.position_tempo else 0,
        )

    def decode(self, ids: Sequence[int] | np.ndarray) -> Score:
        """Return the piece that ids tell; any ids of the vocabulary tell one.

        What stands before the first ``<sep>`` is passed over, and so is what stands after END, is no music, or
        begins after 1,000,000 quarter notes. A note is a pitch with a duration right after it; without a velocity
        it has 98. A position, an instrument, a tempo and a metre hold until the next one; before the first there
        are the bar line, the piano, the first tempo of all, and 4/4.

        Args:
            ids: 0..1252, (T,).

        Returns:
            A track for each instrument, in 480 ticks a quarter note; a note inside a longer one of the same key
            goes to a further track of that instrument.

        Raises:
            TokenError: not one row of whole numbers in 0..1252.
        """
        return score_of(self._told(checked_row(ids, self.vocab_size)))

    def repairs(self, ids: Sequence[int] | np.ndarray) -> dict[str, int]:
        """Count what ``decode`` mends or passes over; all zero for a legal piece that has ended.

        Example:
            >>> RemiTokenizer().repairs([263, 519])["without_velocity"]
            1
        """
        return self._told(checked_row(ids, self.vocab_size)).repairs

    def measure(self, ids: np.ndarray) -> tuple[int, float]:
        """Return the notes that ids tell, and when the last of them ends, in seconds.

        A part of a piece is measured as if it were one: its tempo may have been told before.

        Example:
            >>> RemiTokenizer().measure([688, 968, 6, 134, 323, 531, 667, 5])[0]
            1
        """
        told = self._told(np.asarray(ids, np.int64).ravel())
        return len(told.onset), told.last_sec()

    def transpose_ids(self, ids: np.ndarray, semitones: int) -> np.ndarray | None:
        """Return the ids of the piece moved by semitones, or None when a pitch would leave 0..127; drums stay.

        The result equals the encoding of the transposed score, unless that is moved back by ``normalise_key``.

        Example:
            >>> RemiTokenizer().transpose_ids(np.array([688, 968, 6, 134, 323, 531, 667, 5]), 2)
            array([688, 968,   6, 134, 325, 531, 667,   5])
        """
        ids = np.asarray(ids)
        moved = np.arange(self.vocab_size)
        pitch = np.arange(128) + semitones
        moved[PITCH : PITCH + DRUMS] = np.where((pitch >= 0) & (pitch < 128), PITCH + pitch, -1)
        result = moved[ids]
        return None if (result < 0).any() else result.astype(ids.dtype)

    def _told(self, ids: np.ndarray) -> Told:
        return notes_of_ids(ids, self._kind_of, with_velocity=self._form.velocity)
