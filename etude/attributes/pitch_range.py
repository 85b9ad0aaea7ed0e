"""Pitch range: the distance from the lowest to the highest note, drums left out."""

import numpy as np

from etude.music.score import Score


class PitchRange:
    """Semitones between the lowest and the highest pitch."""

    title = "pitch range"
    unit = "semitones"
    meaning = "How far apart the lowest and the highest note are; an octave is 12, a piano 87."
    origin = "measured"
    transposed = "same"
    faster = "same"

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return the range, at least 0, or None where there is no pitched note."""
        drums = np.array([track.is_drum for track in score.tracks] or [False])[score.notes.track]
        pitch = score.notes.pitch[~drums]
        return float(pitch.max() - pitch.min()) if len(pitch) else None
