"""The MIDI-like tokenizer: time shifts, and notes that begin and end; ids as MidiTok has them.

Vocabulary, in id order; what settings leave out has no ids:
    special ids (PAD, BOS_None, END, MASK_None) | NoteOn_21..109 | NoteOff_21..109 | Velocity | TimeShift
    | DrumOn_27..88 | DrumOff_27..88 | Rest | Tempo | Program | TimeSig | KeySig | Pedal | PedalOff
Grammar:
    (TimeShift* | Rest* TimeShift*) then, at one time, TimeSig? Tempo? KeySig? then, instrument by instrument,
    Pedal or PedalOff, ends (Program? NoteOff)* and beginnings (Program? NoteOn Velocity)*
Conventions:
    Those of ``tsd``. Notes of one pitch and instrument that overlap are kept; the first to begin ends first.
Lossy in these ways, each bounded:
    those of ``tsd``, except that lengths have no limit: they are told to one step, at least one. Of notes of one pitch
    and instrument of which one lies within the other the ends are exchanged.

Source:
    Oore et al. 2018, "This Time with Feeling"; Fradet et al. 2021, "MidiTok". With ``note_order="played"`` ids
    are those of MidiTok 3.1 but for what ``docs/tokenizer-tsd.md`` lists.
"""

from functools import cached_property
from typing import Literal

import numpy as np

from etude.tokens.note_timing import NO_KEY, NoteTiming
from etude.tokens.tsd_family import ShiftTokenizer
from etude.tokens.tsd_settings import ShiftSettings


class MidiLikeSettings(ShiftSettings):
    """What the MIDI-like tokenizer tells."""

    kind: Literal["midilike"] = "midilike"


class MidiLikeTokenizer(ShiftTokenizer):
    """Scores to ids and back; see the module's header.

    Example:
        >>> from etude.music.score import Score
        >>> tokenizer = MidiLikeTokenizer()
        >>> ids = tokenizer.encode(Score.of([240], [480], [60], [80]))
        >>> tokenizer.vocab.words(ids)
        ['TimeSig_4/4', 'TimeShift_0.4.8', 'NoteOn_60', 'Velocity_79', 'TimeShift_1.0.8', 'NoteOff_60']
        >>> tokenizer.decode(ids).offset_sec
        array([0.75])
    """

    kind = "midilike"
    settings_class = MidiLikeSettings
    has_offs = True

    @cached_property
    def note_timing(self) -> NoteTiming | None:
        """Which ids begin a key, end it, and let time pass: a beat as half a second; None with instruments."""
        if self.settings.use_programs:
            return None
        starts, ends = np.full((2, self.vocab_size), NO_KEY)
        reader, layout = self._reader, self._layout
        key = reader.pitch + 128 * reader.is_drum
        on, off = layout.ids("NoteOn", "DrumOn"), layout.ids("NoteOff", "DrumOff")
        starts[on], ends[off] = key[on], key[off]
        advance_sec = reader.steps / (2 * self.settings.finest)
        # no note ends at the tick at which another of its kind began
        lets_end = (advance_sec > 0) | (ends != NO_KEY)
        return NoteTiming.of_ids(starts, ends, advance_sec, lets_end, num_keys=256)
