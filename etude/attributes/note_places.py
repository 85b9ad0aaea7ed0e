"""Where notes stand in bars: what several attributes are counted from.

Onsets are rounded to twelve positions a quarter note, as MuseCoco's tokens have them, so that what is counted of a
piece is what is counted of its tokens. Bars are those of the time signatures; music goes from the first bar in
which a note begins to the last one in which a note begins.
"""

from typing import NamedTuple

import numpy as np

from etude.music.score import Score
from etude.music.timing import BarMap

POSITIONS_PER_QUARTER = 12


class Span(NamedTuple):
    """The bars of a piece and where its notes begin."""

    bars: BarMap
    onset_tick: np.ndarray
    """Rounded to positions, float64, in note order."""
    first_bar: int
    last_bar: int
    whole_tick: float
    """The length of a whole note."""

    @property
    def num_bars(self) -> int:
        """The bars with music, silent ones between them included."""
        return self.last_bar - self.first_bar + 1

    @property
    def edges_tick(self) -> tuple[int, int]:
        """The ticks at which the first bar begins and the last one ends."""
        first, end = self.bars.bar_to_tick(np.array([self.first_bar, self.last_bar + 1])).tolist()
        return first, end

    @property
    def parts(self) -> tuple[int, int]:
        """The first and the last time signature that hold, as indices into the bar map's."""
        first, last = np.searchsorted(self.bars.tick, self.onset_tick[[0, -1]], side="right") - 1
        return max(int(first), 0), max(int(last), 0)

    @property
    def metres(self) -> list[tuple[int, int]]:
        """Numerator and denominator of the signatures that hold, in their order, each named once."""
        first, last = self.parts
        rows = slice(first, last + 1)
        # [ticks / whole note] / [ticks / beat] = [beats / whole note]
        denominator = np.rint(self.whole_tick / self.bars.beat_tick[rows]).astype(int)
        return list(dict.fromkeys(zip(self.bars.numerator[rows].tolist(), denominator.tolist(), strict=True)))


def span_of(score: Score) -> Span | None:
    """Return the bars with music, or None without notes."""
    if not len(score.notes):
        return None
    bars = BarMap(score.time_signatures, score.ppq)
    position = np.rint(score.notes.onset_tick * float(POSITIONS_PER_QUARTER) / score.ppq)
    onset_tick = position * (score.ppq / POSITIONS_PER_QUARTER)
    first, last = bars.tick_to_bar(onset_tick[[0, -1]]).tolist()
    return Span(bars, onset_tick, first, last, 4.0 * score.ppq)


def is_drum_note(score: Score) -> np.ndarray:
    """Return which notes are a drum kit's, bool, in note order."""
    return np.array([track.is_drum for track in score.tracks] or [False])[score.notes.track]


def counted(number: int, what: str) -> str:
    """Return a number with its noun.

    Example:
        >>> counted(1, "bar"), counted(1200, "drum note")
        ('1 bar', '1,200 drum notes')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
