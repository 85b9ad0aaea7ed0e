"""What single ids mean: pitch, instrument, and whether they begin a bar, begin or end a note, or move the clock.

Whatever works over every vocabulary reads these columns instead of names: learned merges, options of a
grammar, control while a piece is written. V is the number of ids.
"""

from typing import NamedTuple

import numpy as np

NO_PITCH = -1
NO_INSTRUMENT = -1
DRUMS = 128
"""The instrument of drum notes; 0..127 are programs."""


class IdFacts(NamedTuple):
    """Facts of each id of a vocabulary; start from ``blank`` and fill the columns in.

    Attributes:
        pitch: MIDI pitch 0..127 of ids that name one, drums with their key, whether the note begins or ends;
            ``NO_PITCH`` for others; int32 (V,).
        instrument: program 0..127 or ``DRUMS`` of ids that name one, be it of a note or of the notes after it;
            ``NO_INSTRUMENT`` for ids that name none; int32 (V,).
        opens_bar: the id begins a bar; bool (V,).
        starts_note: the id that begins a note, exactly one for each note: the first of its ids where a note
            is a group of ids that always begins alike (pitch, velocity, length), else the one that sounds it
            (NOTE_ON); bool (V,).
        ends_note: the id ends a note that sounds; all False where notes tell their length; bool (V,).
        moves_time: the clock moves on with the id, or may: shifts, positions, bars; all False where notes
            carry their place themselves; bool (V,).
    """

    pitch: np.ndarray
    instrument: np.ndarray
    opens_bar: np.ndarray
    starts_note: np.ndarray
    ends_note: np.ndarray
    moves_time: np.ndarray

    @classmethod
    def blank(cls, vocab_size: int) -> "IdFacts":
        """Return the facts of ids that mean nothing.

        Example:
            >>> facts = IdFacts.blank(3)
            >>> facts.pitch[1] = 60
            >>> facts.pitch.tolist(), facts.opens_bar.any().item()
            ([-1, 60, -1], False)
        """
        pitch, instrument = np.full((2, vocab_size), NO_PITCH, np.int32)
        return cls(pitch, instrument, *np.zeros((4, vocab_size), bool))
