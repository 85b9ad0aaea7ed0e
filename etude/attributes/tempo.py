"""Tempo: quarter notes a minute, where one tempo holds from the first to the last onset.

Tempos that fall on one step of MuseCoco's scale, twelve to a doubling, count as one, and their mean over the music is
the value; a piece with several steps, such as a recorded performance with a tempo map, has none. A file without tempos
runs at 120, as MIDI says.

Source: MuseCoco's T1: slow up to 76, fast from 120. The edge lies at 76.2 here, because the token nearest to 76 stands
for 76.11 and a piece must not change its bin by being written as tokens.
"""

import math

import numpy as np

from etude.attributes.bins import Bins
from etude.music.score import Score
from etude.music.timing import DEFAULT_US_PER_QUARTER

_STEPS_A_DOUBLING = 12


def _tempos(score: Score) -> np.ndarray:
    """Return the microseconds per quarter that hold at or between the first and the last onset, each once."""
    tick, us = score.tempos.tick, np.maximum(score.tempos.us_per_quarter, 1)
    if not len(tick):
        return np.array([DEFAULT_US_PER_QUARTER])
    first, last = np.searchsorted(tick, score.notes.onset_tick[[0, -1]], side="right").tolist()
    held = us[max(first - 1, 0) : max(last, 1)]
    if not first:
        held = np.append(held[:last], DEFAULT_US_PER_QUARTER)
    return np.unique(held)


class Tempo:
    """The tempo of the whole piece."""

    title = "tempo"
    unit = "quarter notes per minute"
    meaning = "How many quarter notes fill a minute, where one tempo holds for the whole piece."
    origin = "measured"
    transposed = "same"
    faster = "times f"
    bins = Bins.of_edges(("slow", "moderate", "fast"), (76.2, 120), ("below", "above"))

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return quarter notes a minute, or None without notes or with several tempos."""
        if not len(score.notes):
            return None
        us = _tempos(score)
        if len(us) == 1:
            return 60e6 / float(us[0])
        steps = np.rint(_STEPS_A_DOUBLING * np.log2(60e6 / us))
        if steps.min() < steps.max():
            return None
        tick = score.notes.onset_tick[[0, -1]]
        start_sec, end_sec = score.tempo_map.tick_to_sec(tick).tolist()
        return 60 * int(tick[1] - tick[0]) / score.ppq / (end_sec - start_sec) if end_sec > start_sec else None

    @staticmethod
    def evidence(score: Score) -> str:
        """Say which tempos hold."""
        if not len(score.notes):
            return "no notes"
        if not len(score.tempos):
            return "no tempo: 120, as MIDI says"
        qpm = 60e6 / _tempos(score)
        if len(qpm) == 1:
            return f"one tempo, {qpm[0]:.5g}"
        widest = math.log2(qpm.max() / qpm.min()) * _STEPS_A_DOUBLING
        return f"{len(qpm):,} tempos, {qpm.min():.4g} to {qpm.max():.4g}, {widest:.1f} steps of MuseCoco's scale apart"
