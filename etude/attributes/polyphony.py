"""Polyphony: how many notes sound at once, on average, while anything sounds.

Drums are left out, silence does not count, the pedal is not counted, two notes of one pitch count twice.
"""

import numpy as np

from etude.attributes.bins import Bins
from etude.attributes.note_places import is_drum_note
from etude.music.score import Score


def _total_and_sounding(score: Score) -> tuple[float, float]:
    """Return the seconds of all pitched notes, and those in which at least one sounds."""
    pitched = ~is_drum_note(score)
    onset, offset = score.onset_sec[pitched], score.offset_sec[pitched]
    total = float((offset - onset).sum())
    if total <= 0:
        return 0.0, 0.0
    # notes are in order of onset: each adds what it sounds beyond all that began before it
    before = np.maximum.accumulate(np.concatenate([onset[:1], offset[:-1]]))
    return total, float(np.maximum(offset - np.maximum(onset, before), 0.0).sum())


class Polyphony:
    """Total length of all notes over the length of the time in which at least one sounds."""

    title = "polyphony"
    unit = "notes at once"
    meaning = "How many notes sound together on average while anything sounds; 1 is a single melody line."
    origin = "measured"
    transposed = "same"
    faster = "same"
    bins = Bins.of_edges(("one line", "thin", "full", "thick"), (1.2, 2, 4))

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return the mean number of sounding notes, at least 1, or None where no pitched note sounds."""
        total, sounding = _total_and_sounding(score)
        return max(1.0, total / sounding) if total > 0 else None

    @staticmethod
    def evidence(score: Score) -> str:
        """Say how much sounds in how much time."""
        total, sounding = _total_and_sounding(score)
        return f"{total:.1f} s of notes in {sounding:.1f} s with sound" if total > 0 else "no pitched notes"
