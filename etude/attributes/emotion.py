"""Emotion: the quadrant of feeling; told by a label, for notes do not tell.

Source: the quadrants Q1 to Q4 of Russell's circle, in the order of MuseCoco's EM1.
"""

from etude.attributes.bins import Bins
from etude.music.score import Score


class Emotion:
    """The quadrant of feeling: how pleasant and how excited."""

    title = "emotion"
    unit = "name"
    meaning = "What a listener would call the piece: happy, tense, sad or calm."
    origin = "labelled"
    label = "emotion"
    transposed = "same"
    faster = "same"
    bins = Bins.of_words(
        ("happy", "tense", "sad", "calm"),
        aliases={
            **{"q1": "happy", "q2": "tense", "q3": "sad", "q4": "calm"},
            **{"excited": "happy", "uneasy": "tense", "angry": "tense", "relaxed": "calm"},
        },
    )

    @staticmethod
    def measure(score: Score) -> None:
        """Return None: notes do not tell."""

    @staticmethod
    def evidence(score: Score) -> str:
        """Say where it comes from."""
        return "told by labels, not by notes"
