"""Pitch range: the distance from the lowest to the highest note, drums left out.

Its bins are octaves, always rounded up: n octaves are the fewest that hold all notes, so 12 semitones are 1 octave and
13 are 2, and all twelve bins can come about.

Source: MuseCoco's P4, which rounds down in one place and up in others.
"""

from etude.attributes.bins import Bins
from etude.attributes.note_places import is_drum_note
from etude.music.score import Score


class PitchRange:
    """Semitones between the lowest and the highest pitch."""

    title = "pitch range"
    unit = "semitones"
    meaning = "How far apart the lowest and the highest note are; an octave is 12, a piano 87."
    origin = "measured"
    transposed = "same"
    faster = "same"
    bins = Bins.of_edges(
        tuple(f"{octaves} octave{'' if octaves == 1 else 's'}" for octaves in range(12)), range(0, 121, 12), "below"
    )

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return the range, at least 0, or None where there is no pitched note."""
        pitch = score.notes.pitch[~is_drum_note(score)]
        return float(pitch.max() - pitch.min()) if len(pitch) else None

    @staticmethod
    def evidence(score: Score) -> str:
        """Say which pitches are the outermost."""
        pitch = score.notes.pitch[~is_drum_note(score)]
        return f"pitches {pitch.min()} to {pitch.max()}" if len(pitch) else "no pitched notes"
