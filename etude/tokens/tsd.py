"""The TSD tokenizer: time shifts, and notes that tell their length; ids as MidiTok has them.

Vocabulary, in id order; what settings leave out has no ids:
    special ids (PAD, BOS_None, END, MASK_None) | Pitch_21..109 | Velocity | Duration | TimeShift | PitchDrum_27..88
    | Rest | Tempo | Program | TimeSig | KeySig | Pedal | PedalOff
Grammar:
    (TimeShift* | Rest* TimeShift*) then, at one time, TimeSig? Tempo? KeySig? then, instrument by instrument,
    Pedal or PedalOff, and notes: Program? Pitch Velocity Duration
Conventions:
    A length is beats.steps.steps-a-beat: 1.4.8 is a beat and four eighths of one; the beat is the lower number of
    the time signature. Without ``use_programs`` all tracks are one, drums kept apart by their ids. A signature waits
    for the next bar line. A rest begins when the last note has ended. END is MidiTok's EOS.
Lossy in these ways, each bounded (a step is an eighth of a beat):
    onset to half a step, where metres with shorter beats occur to three quarters of one; length to half a step up to
    4 beats, to one and a half up to 12, and no longer than 12; velocity to 2; tempo to half of the way to the next
    level, from 40 to 250. Notes outside ``pitch_range`` and signatures outside ``time_signature_range`` are left out;
    a note keeps its instrument, but tracks of one instrument become one.

Source:
    Fradet et al. 2021, "MidiTok"; Fradet et al. 2023, "Byte Pair Encoding for Symbolic Music". With
    ``note_order="played"`` ids are those of MidiTok 3.1 but for what ``docs/tokenizer-tsd.md`` lists.
"""

from typing import Literal

from etude.tokens.tsd_family import ShiftTokenizer
from etude.tokens.tsd_settings import ShiftSettings


class TsdSettings(ShiftSettings):
    """What the TSD tokenizer tells."""

    kind: Literal["tsd"] = "tsd"


class TsdTokenizer(ShiftTokenizer):
    """Scores to ids and back; see the module's header.

    Example:
        >>> from etude.music.score import Score
        >>> tokenizer = TsdTokenizer()
        >>> ids = tokenizer.encode(Score.of([240], [480], [60], [80]))
        >>> tokenizer.vocab.words(ids)
        ['TimeSig_4/4', 'TimeShift_0.4.8', 'Pitch_60', 'Velocity_79', 'Duration_1.0.8']
        >>> tokenizer.decode(ids).offset_sec
        array([0.75])
    """

    kind = "tsd"
    settings_class = TsdSettings
    has_offs = False
