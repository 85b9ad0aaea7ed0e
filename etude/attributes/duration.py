"""Duration: from the first onset to the end of the last note, in seconds; the pedal is not counted.

Source: MuseCoco's TM1, which adds up whole bars; the two differ by the silence before the first and after the last
note, and a performance that has no true bars has a duration all the same.
"""

from etude.attributes.bins import Bins
from etude.music.score import Score


class Duration:
    """Seconds from the first onset to the end of the last note."""

    title = "duration"
    unit = "seconds"
    meaning = "How long the music lasts, from its first onset to the end of its last note."
    origin = "measured"
    transposed = "same"
    faster = "over f"
    bins = Bins.of_edges(
        ("up to 15 s", "15 to 30 s", "30 to 45 s", "45 to 60 s", "more than 60 s"), (15, 30, 45, 60), "below"
    )

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return seconds, or None without notes."""
        return float(score.offset_sec.max() - score.onset_sec.min()) if len(score.notes) else None

    @staticmethod
    def evidence(score: Score) -> str:
        """Say from when to when."""
        if not len(score.notes):
            return "no notes"
        return f"first onset at {score.onset_sec.min():.2f} s, last end at {score.offset_sec.max():.2f} s"
