"""Polyphony: how many notes sound at once, on average, while anything sounds.

Drums are left out, silence does not count, the pedal is not counted, two notes of one pitch count twice.
"""

import numpy as np

from etude.music.score import Score


class Polyphony:
    """Total length of all notes over the length of the time in which at least one sounds."""

    title = "polyphony"
    unit = "notes at once"
    meaning = "How many notes sound together on average while anything sounds; 1 is a single melody line."
    origin = "measured"
    transposed = "same"
    faster = "same"

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return the mean number of sounding notes, at least 1, or None where no pitched note sounds."""
        drums = np.array([track.is_drum for track in score.tracks] or [False])[score.notes.track]
        onset, offset = score.onset_sec[~drums], score.offset_sec[~drums]
        total = float((offset - onset).sum())
        if total <= 0:
            return None
        # notes are in order of onset: each adds what it sounds beyond all that began before it
        before = np.maximum.accumulate(np.concatenate([onset[:1], offset[:-1]]))
        sounding = np.maximum(offset - np.maximum(onset, before), 0.0).sum()
        return max(1.0, total / float(sounding))
