"""Register: the mean pitch of all notes, drums left out."""

from etude.attributes.bins import Bins
from etude.attributes.note_places import is_drum_note
from etude.music.score import Score


class Register:
    """How high the notes lie on average."""

    title = "register"
    unit = "MIDI pitch"
    meaning = "How high the notes lie on average; 60 is middle C, 12 more is an octave higher."
    origin = "measured"
    transposed = "other"
    faster = "same"
    bins = Bins.of_edges(("very low", "low", "middle", "high", "very high"), (42, 54, 66, 78))

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return the mean pitch, 0 to 127, or None where there is no pitched note."""
        pitch = score.notes.pitch[~is_drum_note(score)]
        return float(pitch.mean()) if len(pitch) else None

    @staticmethod
    def evidence(score: Score) -> str:
        """Say below which pitch half of the notes lie."""
        pitch = score.notes.pitch[~is_drum_note(score)]
        return (
            f"{len(pitch):,} pitched notes, half of them up to {sorted(pitch)[len(pitch) // 2]}"
            if len(pitch)
            else ("no pitched notes")
        )
