"""Rhythm intensity: positions on which anything begins, for each quarter note of music.

Positions are twelve to a quarter; drums count; a chord is one position. The music is the bars from the first to the
last one in which a note begins.

Source: MuseCoco's R3.
"""

import numpy as np

from etude.attributes.bins import Bins
from etude.attributes.note_places import counted, span_of
from etude.music.score import Score


def _positions_and_quarters(score: Score) -> tuple[int, float]:
    span = span_of(score)
    if span is None:
        return 0, 0.0
    first, end = span.edges_tick
    return 1 + int(np.count_nonzero(np.diff(span.onset_tick))), (end - first) / score.ppq


class RhythmIntensity:
    """Positions with an onset per quarter note."""

    title = "rhythm intensity"
    unit = "onset positions per quarter note"
    meaning = "How many times in a quarter note something begins; 1 is a steady walk, 4 are sixteenths throughout."
    origin = "measured"
    transposed = "same"
    faster = "same"
    bins = Bins.of_edges(("low", "medium", "high"), (1, 2), ("below", "above"))

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return positions per quarter note, or None without notes."""
        positions, quarters = _positions_and_quarters(score)
        return positions / quarters if quarters else None

    @staticmethod
    def evidence(score: Score) -> str:
        """Say what was divided by what."""
        positions, quarters = _positions_and_quarters(score)
        return f"{counted(positions, 'position')} with an onset in {quarters:g} quarter notes"
