"""Note density: notes per second, from the first onset to the end of the last note, drums included."""

from etude.music.score import Score


class NoteDensity:
    """Notes per second of music."""

    title = "note density"
    unit = "notes per second"
    meaning = "How many notes begin in a second; a slow chorale has about 4, a fast study more than 10."
    origin = "measured"
    transposed = "same"
    faster = "times f"

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return notes per second, or None where the piece has no length."""
        if not len(score.notes):
            return None
        length = float(score.offset_sec.max() - score.onset_sec.min())
        return len(score.notes) / length if length > 0 else None
