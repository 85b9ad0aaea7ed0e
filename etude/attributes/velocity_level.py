"""Velocity level: the mean velocity of all notes, drums included."""

from etude.attributes.bins import Bins
from etude.music.score import Score


class VelocityLevel:
    """How loud the notes are struck on average."""

    title = "velocity level"
    unit = "MIDI velocity"
    meaning = "How hard the notes are struck on average; 1 is the softest, 127 the loudest."
    origin = "measured"
    transposed = "same"
    faster = "same"
    bins = Bins.of_edges(("very soft", "soft", "medium", "loud", "very loud"), (32, 56, 80, 104))

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return the mean velocity, 1 to 127, or None without notes."""
        return float(score.notes.velocity.mean()) if len(score.notes) else None

    @staticmethod
    def evidence(score: Score) -> str:
        """Say which velocities are the outermost."""
        velocity = score.notes.velocity
        return f"velocities {velocity.min()} to {velocity.max()}" if len(velocity) else "no notes"
