"""Danceability: whether drums play more on strong beats than on the others.

Counted are notes of drum kits that begin on a beat, to the nearest of twelve positions a quarter, in bars of 4/4
(strong: the first and the third beat), 3/4 and 2/4 (the first). As many on both, or none, is no answer.

Source: MuseCoco's R1. Its released code counts positions instead of notes, so that 4/4 and 2/4 always tie and 3/4 is
never danceable; here all three answers can come about.
"""

import numpy as np

from etude.attributes.bins import Bins
from etude.attributes.note_places import counted, is_drum_note, span_of
from etude.music.score import Score

_ON_BEAT = 1e-6


def _strong_and_other(score: Score) -> tuple[int, int]:
    """Return how many drum notes begin on strong beats and on the others."""
    drums = is_drum_note(score)
    if not drums.any():
        return 0, 0
    span = span_of(score)
    tick = span.onset_tick[drums]
    bars = span.bars
    _, place = bars.tick_to_beat(tick)
    part = np.maximum(np.searchsorted(bars.tick, tick, side="right") - 1, 0)
    numerator, beat = bars.numerator[part], np.rint(place).astype(np.int64)
    is_known = (bars.beat_tick[part] == score.ppq) & (numerator >= 2) & (numerator <= 4)
    is_on = is_known & (np.abs(place - beat) <= _ON_BEAT)
    beat = beat % numerator
    is_strong = is_on & ((beat == 0) | (numerator == 4) & (beat == 2))
    return int(is_strong.sum()), int((is_on & ~is_strong).sum())


class Danceability:
    """Whether strong beats carry more drum notes than the others."""

    title = "danceability"
    unit = "yes or no"
    meaning = "Whether drums play more notes on strong beats than on the other beats."
    origin = "measured"
    transposed = "same"
    faster = "same"
    bins = Bins.of_words(("yes", "no"))

    @staticmethod
    def measure(score: Score) -> str | None:
        """Return ``yes`` or ``no``, or None without drums on beats or with as many on both."""
        strong, other = _strong_and_other(score)
        return None if strong == other else ("yes" if strong > other else "no")

    @staticmethod
    def evidence(score: Score) -> str:
        """Say how many drum notes stand where."""
        strong, other = _strong_and_other(score)
        if not is_drum_note(score).any():
            return "no drums"
        return f"{counted(strong, 'drum note')} on strong beats, {other:,} on other beats of 4/4, 3/4 and 2/4"
