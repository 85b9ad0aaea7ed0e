"""Swing: how much longer the first of two eighth notes is than the second.

Looked at are quarter notes that are parted in two: something begins on the beat, and all else that begins before the
next beat begins at one place between 0.4 and 0.8 of the way. The median place p gives p / (1 - p): 1 is straight,
2 a triplet's long and short, 3 a dotted eighth and a sixteenth. Metres in eighths and smaller have no value; nor have
pieces in which fewer than four quarters are parted in two, or fewer than one in ten of those in which anything begins,
as in performances whose file knows no beats.
"""

import numpy as np

from etude.attributes.bins import Bins
from etude.attributes.note_places import counted
from etude.music.score import Score
from etude.music.timing import BarMap

_FEWEST, _FEWEST_SHARE = 4, 0.1
_EARLIEST, _LATEST = 0.4, 0.8
_NEAR = 0.08
"""Of a quarter: onsets this near to each other are one chord, and this near to a beat are on it."""


def _places(score: Score) -> tuple[np.ndarray, int]:
    """Return where quarters that are parted in two are parted, 0.4 to 0.8, (N,), and how many have an onset."""
    bars = BarMap(score.time_signatures, score.ppq)
    tick = score.notes.onset_tick
    part = np.maximum(np.searchsorted(bars.tick, tick, side="right") - 1, 0)
    # from the latest time signature on: bars in quarters or halves keep the beat
    quarter = (tick - bars.tick[part]) / score.ppq
    quarter = quarter[bars.beat_tick[part] >= score.ppq] + _NEAR
    if not len(quarter):
        return quarter, 0
    # an onset just before a beat belongs to it
    beat = np.floor(quarter).astype(np.int64)
    place = quarter - beat - _NEAR
    starts = np.flatnonzero(np.diff(beat, prepend=beat[0] - 1))
    is_on = place <= _NEAR
    first = np.minimum.reduceat(np.where(is_on, 2.0, place), starts)
    last = np.maximum.reduceat(np.where(is_on, -1.0, place), starts)
    parted = np.maximum.reduceat(is_on, starts) & (first >= _EARLIEST) & (last <= _LATEST) & (last - first <= _NEAR)
    return ((first + last) / 2)[parted], len(starts)


class Swing:
    """The ratio of the long eighth to the short one."""

    title = "swing"
    unit = "long to short eighth"
    meaning = "How much longer the first of two eighth notes is than the second; 1 is straight, 2 is a triplet feel."
    origin = "measured"
    transposed = "same"
    faster = "same"
    bins = Bins.of_edges(("straight", "light", "swung", "dotted"), (1.25, 1.75, 2.5))

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return the ratio, 0.67 to 4, or None where too few quarters are parted in two."""
        places, quarters = _places(score)
        if len(places) < max(_FEWEST, _FEWEST_SHARE * quarters):
            return None
        place = float(np.median(places))
        return place / (1 - place)

    @staticmethod
    def evidence(score: Score) -> str:
        """Say how many quarters were looked at."""
        places, quarters = _places(score)
        if not len(places):
            return "no quarter notes parted in two"
        many = f"{len(places):,} of {counted(quarters, 'quarter note')}"
        return f"{many} parted in two, half of them before {np.median(places):.2f}"
