"""Bars: from the first to the last one in which a note begins; silent bars between them count.

Source: MuseCoco's B1, which knows 1 to 16; longer is a bin of its own here, so that a piece that is too long is wrong
instead of unknown.
"""

from etude.attributes.bins import Bins
from etude.attributes.note_places import counted, span_of
from etude.music.score import Score


class Bars:
    """How many bars hold the music."""

    title = "bars"
    unit = "bars"
    meaning = "How many bars there are from the first to the last one in which a note begins."
    origin = "measured"
    transposed = "same"
    faster = "same"
    bins = Bins.of_edges(("1 to 4", "5 to 8", "9 to 12", "13 to 16", "more than 16"), (4, 8, 12, 16), "below")

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return bars, at least 1, or None without notes."""
        span = span_of(score)
        return None if span is None else float(span.num_bars)

    @staticmethod
    def evidence(score: Score) -> str:
        """Say where the music begins and ends, bars counted from 1."""
        span = span_of(score)
        if span is None:
            return "no notes"
        first, last = span.first_bar + 1, span.last_bar + 1
        return f"notes begin in bars {first} to {last}" if span.num_bars > 1 else f"{counted(1, 'bar')}, number {first}"
