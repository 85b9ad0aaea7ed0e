"""What ``tsd`` and ``midilike`` have in common: all but how a note ends.

The two differ in their vocabularies (``Layout.has_offs``); columns are read and written by the same code.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from etude.music.score import Score
from etude.music.timing import TempoMap
from etude.tokens.grammar import Grammar
from etude.tokens.id_facts import DRUMS, IdFacts
from etude.tokens.id_row import checked_row
from etude.tokens.loss_report import report as report_losses
from etude.tokens.tsd_events import events_of
from etude.tokens.tsd_grammar import grammar_of
from etude.tokens.tsd_layout import NONE, Layout
from etude.tokens.tsd_reading import Reader
from etude.tokens.tsd_score import score_of, tempos_of
from etude.tokens.tsd_settings import ShiftSettings
from etude.tokens.tsd_writing import Waits, ids_of_events
from etude.tokens.vocab import describe


class ShiftTokenizer:
    """Scores to ids and back; the base of ``tsd`` and ``midilike``, whose modules say what ids mean."""

    kind: str
    settings_class: type[ShiftSettings]
    revision = 1
    """Raised when the same settings begin to give other ids."""

    has_offs: bool
    num_codebooks = 1
    report = report_losses

    def __init__(self, settings: ShiftSettings | None = None) -> None:
        """Take settings; the defaults are MidiTok's but for the order of notes."""
        self.settings = self.settings_class() if settings is None else settings
        self._layout = Layout(self.settings, self.has_offs)
        self.vocab = self._layout.vocab
        self.vocab_size = len(self.vocab)
        self.end_id, self.pad_id = self.vocab.id_of("END"), self.vocab.id_of("PAD")
        self._json = describe(self.kind, self.settings, self.vocab, revision=self.revision)
        self.hash: str = self._json["hash"]
        self._waits, self._reader = Waits(self._layout), Reader(self._layout)

    def to_json(self) -> dict[str, Any]:
        """Return ``{schema, version, kind, settings, hash}`` for ``etude.tokens.tokenizer_from_json``."""
        return {**self._json, "settings": dict(self._json["settings"])}

    @property
    def loses(self) -> tuple[str, ...]:
        """What ids do not tell; tracks of one instrument become one."""
        told = self.settings
        left_out = {
            "tempo": not told.use_tempos,
            "metre": not told.use_time_signatures,
            "key": not told.use_key_signatures,
            "velocity": not told.use_velocities,
            "pedal": not told.use_sustain_pedals,
            "tracks": True,
            "drums": not (told.use_programs or told.use_pitchdrum_tokens),
            "programs": not told.use_programs,
            "controls": True,
            "texts": True,
        }
        return tuple(word for word, is_lost in left_out.items() if is_lost)

    @property
    def transposes_exactly(self) -> bool:
        """Whether no pitch is left out, and no key or drum told that transposing would have to guess."""
        told = self.settings
        return told.pitch_range == (0, 127) and told.use_pitchdrum_tokens and not told.use_key_signatures

    @property
    def measures_spans(self) -> bool:
        """Whether seconds are the sum of shifts: one length of beat, one tempo, and ends that are told."""
        told = self.settings
        others = told.use_tempos or told.use_time_signatures or told.use_key_signatures or told.use_sustain_pedals
        return self.has_offs and not others

    @cached_property
    def grammar(self) -> Grammar:
        """Which ids may come next; every encoding with END after it is legal."""
        return grammar_of(self._layout)

    @cached_property
    def id_facts(self) -> IdFacts:
        """What ids mean."""
        facts, layout, reader = IdFacts.blank(self.vocab_size), self._layout, self._reader
        facts.pitch[:] = reader.pitch
        facts.instrument[reader.is_drum] = DRUMS
        if self.settings.use_programs:
            for kind in ("Program", "Pedal", "PedalOff"):
                ids = layout.ids(kind)
                facts.instrument[ids] = layout.instrument_of_row[: len(ids)]
        has_leading_program = self.settings.use_programs and not self.settings.program_changes and not self.has_offs
        begins = ("Program",) if has_leading_program else ("Pitch", "PitchDrum", "NoteOn", "DrumOn")
        facts.starts_note[layout.ids(*begins)] = True
        facts.ends_note[layout.ids("NoteOff", "DrumOff")] = True
        facts.moves_time[layout.ids("TimeShift", "Rest")] = True
        return facts

    def encode(self, score: Score) -> np.ndarray:
        """Return the ids of a piece, int32 (T,), without END; none for a piece without notes that are told.

        Raises:
            TokenError: a pitch, velocity or time outside MIDI, or a piece that is too long.
        """
        events = events_of(score, self._layout)
        return np.empty(0, np.int32) if events is None else ids_of_events(events, self._layout, self._waits)

    def decode(self, ids: Sequence[int] | np.ndarray) -> Score:
        """Return the piece that ids tell; any ids of the vocabulary tell one.

        END ends the piece; PAD, other special ids and whatever comes after 2 ** 22 of the shortest steps mean
        nothing. A note that lacks its velocity or its length is left out.

        Raises:
            TokenError: not one row of whole numbers within the vocabulary.
        """
        return score_of(self._reader.read(checked_row(ids, self.vocab_size)), self._reader)

    def repairs(self, ids: Sequence[int] | np.ndarray) -> dict[str, int]:
        """Count what ``decode`` mends; all zero for encodings."""
        return self._reader.read(checked_row(ids, self.vocab_size)).repairs

    def measure(self, ids: np.ndarray) -> tuple[int, float]:
        """Return the notes in ids of any shape, and the seconds to the end of the last that sounds.

        A span from the middle of a piece is taken as if it began the piece: in 4/4 and at 120 until it tells else.
        """
        ids = np.asarray(ids, np.int64).ravel()
        begins = self._reader.pitch[ids] != NONE
        num_notes = int(np.count_nonzero(begins & ~self._reader.is_off[ids]))
        per_quarter = self._reader.ticks_per_quarter
        if self.measures_spans:
            return num_notes, int(self._reader.steps[ids].sum()) / per_quarter / 2
        told = self._reader.read(ids)
        last = int(told.end.max(initial=0))
        return num_notes, float(TempoMap(tempos_of(told, self._layout, 1), per_quarter).tick_to_sec(last))

    def transpose_ids(self, ids: np.ndarray, semitones: int) -> np.ndarray | None:
        """Return the ids of the piece moved by semitones, drums as they are, keys moved too.

        None when a pitch would leave ``pitch_range``, or where drums have no ids of their own.
        """
        if not self.settings.use_pitchdrum_tokens:
            return None
        ids, moved = np.asarray(ids), np.arange(self.vocab_size)
        for kind in ("NoteOn", "NoteOff") if self.has_offs else ("Pitch",):
            own = self._layout.ids(kind)
            there = own + semitones
            moved[own] = np.where((there >= own[0]) & (there <= own[-1]), there, NONE)
        keys = self._layout.ids("KeySig")
        if len(keys) and semitones % 12:
            sharps, is_minor = np.divmod(np.arange(len(keys)), 2)
            # a semitone up is seven fifths up, and twelve fifths are the same key again
            moved[keys] = keys[0] + 2 * ((sharps - 7 + 7 * (semitones % 12) + 5) % 12 + 2) + is_minor
        result = moved[ids]
        return None if (result == NONE).any() else result.astype(ids.dtype)
