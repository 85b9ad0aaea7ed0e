"""Pedal use: how much of the music the sustain pedal is down, on any track.

Down is controller 64 at 64 or more, as MIDI says; the music goes from the first onset to the end of the last note.
"""

import numpy as np

from etude.attributes.bins import Bins
from etude.attributes.note_places import counted
from etude.music.score import Score

_SUSTAIN, _DOWN = 64, 64


def _held(score: Score) -> tuple[float, int]:
    """Return the seconds of the music with a pedal down, and how often one goes down."""
    controls = score.controls
    rows = np.flatnonzero(controls.number == _SUSTAIN)
    if not len(rows) or not len(score.notes):
        return 0.0, 0
    rows = rows[np.argsort(controls.track[rows], kind="stable")]
    track, down = controls.track[rows], controls.value[rows] >= _DOWN
    start, end = score.onset_sec.min(), score.offset_sec.max()
    sec = np.clip(score.tempo_map.tick_to_sec(controls.tick[rows]), start, end)
    is_last = np.append(track[1:] != track[:-1], True)
    until = np.where(is_last, end, np.append(sec[1:], end))
    presses = int(np.count_nonzero(down & ~np.insert(down[:-1] & ~is_last[:-1], 0, False)))
    order = np.argsort(sec[down], kind="stable")
    sec, until = sec[down][order], until[down][order]
    # stretches in order of their beginning: each adds what it lasts beyond those before it
    before = np.maximum.accumulate(np.concatenate([sec[:1], until[:-1]]))
    return float(np.maximum(until - np.maximum(sec, before), 0.0).sum()), presses


class PedalUse:
    """The share of the time with the sustain pedal down."""

    title = "pedal use"
    unit = "share of the time"
    meaning = "How much of the time the sustain pedal is held down."
    origin = "measured"
    transposed = "same"
    faster = "same"
    bins = Bins.of_edges(("none", "a little", "often", "nearly always"), (0, 0.3, 0.8), "below")

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return the share, 0 to 1, or None where the music has no length."""
        if not len(score.notes):
            return None
        length = float(score.offset_sec.max() - score.onset_sec.min())
        return min(1.0, _held(score)[0] / length) if length > 0 else None

    @staticmethod
    def evidence(score: Score) -> str:
        """Say how long, and how often it goes down."""
        seconds, presses = _held(score)
        return f"down for {seconds:.1f} s, pressed {counted(presses, 'time')}" if presses else "never pressed"
