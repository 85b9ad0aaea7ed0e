"""Metre: the one time signature that holds where notes begin; several are no answer.

A file without time signatures is in 4/4, as MIDI says, and the evidence says so.

Source: MuseCoco's TS1.
"""

from etude.attributes.bins import Bins
from etude.attributes.note_places import span_of
from etude.music.score import Score


class Metre:
    """The time signature of the whole piece."""

    title = "metre"
    unit = "time signature"
    meaning = "The time signature, where one holds for the whole piece."
    origin = "measured"
    transposed = "same"
    faster = "same"
    bins = Bins.of_words(("4/4", "2/4", "3/4", "1/4", "6/8", "3/8", "other"), other="other")

    @staticmethod
    def measure(score: Score) -> str | None:
        """Return such as ``6/8``, also of metres whose bin is ``other``; None without notes or with several metres."""
        span = span_of(score)
        if span is None or len(metres := span.metres) != 1:
            return None
        return "{}/{}".format(*metres[0])

    @staticmethod
    def evidence(score: Score) -> str:
        """Say which signatures hold."""
        if not len(score.time_signatures):
            return "no time signature: 4/4, as MIDI says"
        span = span_of(score)
        if span is None:
            return "no notes"
        names = ["{}/{}".format(*metre) for metre in span.metres]
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        return "time signature " + ", ".join(names[:6]) + more
