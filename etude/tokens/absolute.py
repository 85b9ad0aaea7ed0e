"""The absolute tokenizer: notes with their onsets within segments of 5 s, in 17,727 ids.

Vocabulary: see ``absolute_layout``.
Grammar:
    prefix START event* END, an event being SEGMENT* (note ONSET DURATION | drum ONSET | pedal ONSET)
    The prefix announces the instruments that play and what labels say. SEGMENT begins the next 5 s.
    Events stand in order of onset; those of one onset by id, the pedal last.
Conventions:
    Time begins with the first event. Every time is rounded to 10 ms by itself, so errors do not add up. An
    instrument is a family of eight programs; other families are left out, tracks of one are pooled. A key
    struck again while it sounds ends there.
Lossy in these ways, each bounded:
    onset and duration to 5 ms, a duration being 10 ms to 5 s; velocity to 5 from 5 to 125, decoded as 10, 20,
    ... 120; drums lose velocity and duration (60 and 10 ms), and keys outside 35 to 81; of notes that strike
    one key within one step the loudest level and the longest duration stay.

Source:
    The published vocabulary and its encoder are those of Aria (Bradshaw et al. 2025, "Scaling Self-Supervised
    Representation Learning for Symbolic Piano Performance"; aria-utils). We carry onsets in the last 5 ms of
    a segment into the next, round velocities and times half up and once, cut a note where its key is struck
    again and order notes of one onset by id; ``published=True`` takes back all but the order.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from etude.music.score import Controls, Notes, Score, Tempos, Track
from etude.music.sustain import SUSTAIN
from etude.settings import Settings
from etude.tokens.absolute_events import Told, events_of_ids, ids_of_events, sorted_events
from etude.tokens.absolute_grammar import absolute_grammar
from etude.tokens.absolute_layout import (
    END,
    FIRST_DRUM,
    FIRST_PROGRAM,
    LAST_DRUM,
    LEVELS,
    PAD,
    START,
    STEPS_PER_SEC,
    Layout,
    layout_of,
)
from etude.tokens.absolute_notes import heard, struck
from etude.tokens.absolute_settings import AbsoluteSettings
from etude.tokens.grammar import Grammar
from etude.tokens.id_facts import DRUMS, IdFacts
from etude.tokens.id_row import checked_row
from etude.tokens.loss_report import report as report_losses
from etude.tokens.vocab import Vocab, describe

_DECODED_PPQ = 500
"""At the 500,000 us of a quarter that ``decode`` writes, a tick is 1 ms."""
_TICKS_PER_STEP = 10
_DRUM_VELOCITY = 60
NO_LABELS: Mapping[str, str] = {}


class AbsoluteTokenizer:
    """Scores to ids and back; see the module's header.

    Example:
        >>> tokenizer = AbsoluteTokenizer()
        >>> ids = tokenizer.encode(Score.of([0], [480], [60], [80], ppq=480), {"composer": "Chopin"})
        >>> ids
        array([    6,    20,     0,   827, 17227, 16776], dtype=int32)
        >>> tokenizer.vocab.words(ids)
        ['WITH_PIANO', 'COMPOSER_CHOPIN', 'START', 'PIANO_60_80', 'ONSET_0', 'DURATION_500']
        >>> tokenizer.decode(ids).offset_sec
        array([0.5])
    """

    kind = "absolute"
    settings_class: type[Settings] = AbsoluteSettings
    revision = 1
    """Raised when the same settings begin to give other ids."""

    end_id = END
    pad_id = PAD
    num_codebooks = 1
    transposes_exactly = True
    measures_spans = False
    report = report_losses
    note_timing = None

    def __init__(self, settings: Settings | None = None) -> None:
        """Take settings; by default all instruments and drums are heard, and the pedal extends notes."""
        self.settings = self.settings_class() if settings is None else settings
        self.layout: Layout = layout_of(self.settings)
        self.vocab: Vocab = self.layout.vocab
        self.vocab_size = len(self.vocab)
        self._json = describe(self.kind, self.settings, self.vocab, revision=self.revision)
        self.hash: str = self._json["hash"]

    def to_json(self) -> dict[str, Any]:
        """Return ``{schema, version, kind, settings, hash}`` for ``etude.tokens.tokenizer_from_json``."""
        return {**self._json, "settings": dict(self._json["settings"])}

    @property
    def loses(self) -> tuple[str, ...]:
        """What ids do not tell."""
        drums = () if self.layout.has_drums else ("drums",)
        return ("tempo", "metre", "key", "tracks", "programs", *drums, "controls", "texts")

    @cached_property
    def grammar(self) -> Grammar:
        """Which ids may come next; every encoding with END after it is legal."""
        return absolute_grammar(self.layout)

    @cached_property
    def id_facts(self) -> IdFacts:
        """What ids mean; an instrument stands for its family."""
        layout, facts = self.layout, IdFacts.blank(self.vocab_size)
        programs = np.array([FIRST_PROGRAM[one] for one in layout.instruments], np.int32)
        notes = slice(layout.note, layout.note + layout.drum_code)
        facts.instrument[layout.instrument : layout.instrument + len(programs)] = programs
        facts.instrument[notes] = programs.repeat(128 * LEVELS)
        facts.pitch[notes] = np.arange(layout.drum_code) // LEVELS % 128
        facts.starts_note[layout.note : layout.duration] = True
        if layout.has_drums:
            keys = slice(notes.stop, layout.duration)
            facts.instrument[layout.instrument + len(programs)] = facts.instrument[keys] = DRUMS
            facts.pitch[keys] = np.arange(FIRST_DRUM, LAST_DRUM + 1)
        return facts

    def encode(self, score: Score, labels: Mapping[str, str] = NO_LABELS) -> np.ndarray:
        """Return the ids of a piece, int32 (T,), without END; none at all for a piece without notes.

        Args:
            score: the piece.
            labels: ``composer``, ``form`` and ``genre`` stand in the prefix where their value has an id, whatever
                its case and accents; others are left out.

        Raises:
            TokenError: a pitch, velocity or time outside MIDI, or a piece longer than 24 hours.
        """
        notes = heard(score, self.settings, self.layout)
        if notes is None:
            return np.empty(0, np.int32)
        if not getattr(self.settings, "published", False):
            notes = struck(notes)
        prefix = self.layout.prefix(_instruments_in(notes.voice), labels)
        return self._ids_of_events(sorted_events(notes, self.layout), prefix)

    def encode_piece(self, piece: Any) -> np.ndarray:
        """Return the ids of a piece of a corpus, its labels in the prefix; errors as ``encode``."""
        return self.encode(piece.score, piece.labels)

    def decode(self, ids: Sequence[int] | np.ndarray) -> Score:
        """Return the piece that ids tell; any ids of the vocabulary tell one.

        END ends the piece; a note, onset or duration that misses the others of its group means nothing, and
        so does whatever comes after 24 hours. Instruments need no announcement. A key struck again while it
        sounds ends there; of notes that strike a key at once the loudest and the longest stays.

        Args:
            ids: of the vocabulary, (T,).

        Returns:
            A track for each instrument that plays, in ticks of 1 ms.

        Raises:
            TokenError: not one row of whole numbers of the vocabulary.
        """
        told = self._told(checked_row(ids, self.vocab_size))
        notes = struck(told.notes)
        order = np.argsort(notes.step.astype(np.int64) << 11 | notes.voice)
        voice = notes.voice[order]
        instrument = voice >> 7
        present = _instruments_in(voice)
        is_drum = instrument == len(self.layout.instruments)
        columns = Notes(
            onset_tick=(notes.step[order] * _TICKS_PER_STEP).astype(np.int32),
            duration_tick=(notes.duration[order] * _TICKS_PER_STEP).astype(np.int32),
            pitch=(voice & 127).astype(np.int32),
            velocity=np.where(is_drum, _DRUM_VELOCITY, 10 * notes.level[order]).astype(np.int32),
            track=np.searchsorted(present, instrument).astype(np.int32),
        )
        return Score(
            ppq=_DECODED_PPQ,
            notes=columns,
            tracks=tuple(self._track(one) for one in present),
            tempos=Tempos.of(tick=[0], us_per_quarter=[500_000]),
            controls=_pedal_of(told) if present[:1] == [0] else Score.of().controls,
        )

    def labels_of(self, ids: Sequence[int] | np.ndarray) -> dict[str, str]:
        """Return the labels in a prefix.

        Example:
            >>> AbsoluteTokenizer().labels_of([6, 20, 29, 0])
            {'composer': 'chopin', 'form': 'sonata'}
        """
        return self.layout.labels_of(checked_row(ids, self.vocab_size))

    def repairs(self, ids: Sequence[int] | np.ndarray) -> dict[str, int]:
        """Count what ``decode`` mends; all zero for a legal piece that has ended.

        Example:
            >>> AbsoluteTokenizer().repairs([6, 0, 827, 17227, 827, 17228, 16776])
            {'stray': 2, 'backwards': 0, 'without_velocity': 0, 'without_length': 0}
        """
        return self._told(checked_row(ids, self.vocab_size)).repairs

    def measure(self, ids: np.ndarray) -> tuple[int, float]:
        """Return the notes in a span of ids, of any shape, and when the last of them ends, in seconds.

        Time counts from the beginning of the piece if the span holds its START, else from its first note.

        Example:
            >>> AbsoluteTokenizer().measure([6, 0, 827, 17227, 16776])
            (1, 0.5)
        """
        ids = np.asarray(ids, np.int64).ravel()
        notes = struck(self._told(ids).notes)
        if not len(notes.step):
            return 0, 0.0
        begin = 0 if (ids == START).any() else int(notes.step.min())
        return len(notes.step), (int((notes.step + notes.duration).max()) - begin) / STEPS_PER_SEC

    def transpose_ids(self, ids: np.ndarray, semitones: int) -> np.ndarray | None:
        """Return the ids of the piece moved by semitones, or None when a pitch would leave 0..127; drums stay.

        The result equals the encoding of the transposed score.

        Example:
            >>> AbsoluteTokenizer().transpose_ids(np.array([6, 0, 827, 17227, 16776]), -2)
            array([    6,     0,   801, 17227, 16776])
        """
        ids = np.asarray(ids)
        code = ids.astype(np.int64) - self.layout.note
        is_note = (code >= 0) & (code < self.layout.drum_code)
        pitch = code[is_note] // LEVELS % 128 + semitones
        if ((pitch < 0) | (pitch > 127)).any():
            return None
        return (ids + LEVELS * semitones * is_note).astype(ids.dtype)

    def _ids_of_events(self, events: np.ndarray, prefix: list[int]) -> np.ndarray:
        return ids_of_events(events, prefix, self.layout)

    def _told(self, ids: np.ndarray) -> Told:
        return events_of_ids(ids, self.layout)

    def _track(self, instrument: int) -> Track:
        names = self.layout.instruments
        return Track(FIRST_PROGRAM[names[instrument]]) if instrument < len(names) else Track(0, is_drum=True)


def _instruments_in(voice: np.ndarray) -> list[int]:
    if voice.max(initial=0) < 128:
        return [0] if voice.size else []
    return np.flatnonzero(np.bincount(voice >> 7)).tolist()


def _pedal_of(told: Told) -> Controls:
    zeros = np.zeros(len(told.pedal_step), np.int32)
    return Controls(
        tick=(told.pedal_step * _TICKS_PER_STEP).astype(np.int32),
        track=zeros,
        number=zeros + SUSTAIN,
        value=np.where(told.pedal_down, 127, 0).astype(np.int32),
    )
