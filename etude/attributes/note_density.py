"""Note density: notes per second, from the first onset to the end of the last note, drums included."""

from etude.attributes.bins import Bins
from etude.attributes.note_places import counted
from etude.music.score import Score


class NoteDensity:
    """Notes per second of music."""

    title = "note density"
    unit = "notes per second"
    meaning = "How many notes begin in a second; a slow chorale has about 4, a fast study more than 10."
    origin = "measured"
    transposed = "same"
    faster = "times f"
    bins = Bins.of_edges(("very sparse", "sparse", "medium", "dense", "very dense"), (2, 4, 8, 12))

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return notes per second, or None where the piece has no length."""
        if not len(score.notes):
            return None
        length = float(score.offset_sec.max() - score.onset_sec.min())
        return len(score.notes) / length if length > 0 else None

    @staticmethod
    def evidence(score: Score) -> str:
        """Say how many notes in how many seconds."""
        if not len(score.notes):
            return "no notes"
        return f"{counted(len(score.notes), 'note')} in {score.offset_sec.max() - score.onset_sec.min():.2f} s"
