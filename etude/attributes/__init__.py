"""What one may ask of a piece, label it with, or score it by: one file per attribute, one line here.

An attribute is a class with these constants and one static method:

    title         what a table calls it
    unit          of the value
    meaning       one sentence for people who see the number for the first time
    origin        "measured" from the notes, "labelled" by people, or "predicted" by a model
    transposed    the value of a piece moved by whole semitones: "same" or "other"
    faster        the value of a piece played f times as fast: "same" or "times f"
    measure       Score -> float, or None where the piece has no value
"""

from collections.abc import Iterable
from typing import Any

from etude.music.score import Score
from etude.registry import class_of_kind

ATTRIBUTES = {
    "in_key": "etude.attributes.in_key:InKey",
    "polyphony": "etude.attributes.polyphony:Polyphony",
    "note_density": "etude.attributes.note_density:NoteDensity",
    "pitch_range": "etude.attributes.pitch_range:PitchRange",
}


def attribute(name: str) -> Any:
    """Return an attribute by its name in ``ATTRIBUTES``, or your own by ``"module:Class"``.

    Raises:
        SettingsError: there is no such attribute.
    """
    return class_of_kind(name, ATTRIBUTES, where="attribute")


def measure(score: Score, names: Iterable[str] | None = None) -> dict[str, float | None]:
    """Return the values of a score by attribute name; by default of all in ``ATTRIBUTES``.

    Example:
        >>> measure(Score.of([0, 0], [480, 480], [60, 64]), ["polyphony"])
        {'polyphony': 2.0}
    """
    return {name: attribute(name).measure(score) for name in (ATTRIBUTES if names is None else names)}
