"""Mode: major or minor, of the most likely key.

Source: MuseCoco's K1, whose own key finder calls an A-minor triad C major.
"""

from etude.attributes.bins import Bins
from etude.music.key_finding import find_key, key_probabilities, pitch_class_time
from etude.music.score import Score


class Mode:
    """Whether the key is major or minor."""

    title = "mode"
    unit = "major or minor"
    meaning = "Whether the key that the sounding tones fit best is major or minor."
    origin = "measured"
    transposed = "same"
    faster = "same"
    bins = Bins.of_words(("major", "minor"))

    @staticmethod
    def measure(score: Score) -> str | None:
        """Return ``major`` or ``minor``, or None where no pitched note sounds."""
        key = find_key(score)
        return None if key is None else ("minor" if key[1] else "major")

    @staticmethod
    def evidence(score: Score) -> str:
        """Say how likely each mode is over all tonics."""
        likely = key_probabilities(pitch_class_time(score))
        if likely is None:
            return "no pitched notes"
        return f"major {100 * likely[:12].sum():.0f} %, minor {100 * likely[12:].sum():.0f} % likely"
