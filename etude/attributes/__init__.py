"""What one may ask of a piece, label it with, or score it by: one file per attribute, one line here.

An attribute is a class with these constants and two static methods:

    title         what a table calls it
    unit          of the value
    meaning       one sentence for people who see the value for the first time
    origin        "measured" from the notes, "labelled" by people, or "predicted" by a model
    transposed    the value of a piece moved by whole semitones: "same", "same by octaves" or "other"
    faster        the value of a piece played f times as fast: "same", "times f" or "over f"
    bins          ``Bins``: the names that values fall into, NA last
    measure       Score -> a number, a word or a tuple of words, or None where the piece has no value
    evidence      Score -> one short line: what the value was seen from

A labelled one has ``label`` too, the name of the label of a corpus that tells it; it measures nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from etude.attributes.bins import NA, Bins, Value
from etude.errors import SettingsError
from etude.music.score import Score
from etude.registry import class_of_kind

__all__ = ["ATTRIBUTES", "NA", "Bins", "Value", "attribute", "measure", "numbers"]

ATTRIBUTES = {
    "in_key": "etude.attributes.in_key:InKey",
    "polyphony": "etude.attributes.polyphony:Polyphony",
    "note_density": "etude.attributes.note_density:NoteDensity",
    "pitch_range": "etude.attributes.pitch_range:PitchRange",
    "register": "etude.attributes.register:Register",
    "velocity_level": "etude.attributes.velocity_level:VelocityLevel",
    "rhythm_intensity": "etude.attributes.rhythm_intensity:RhythmIntensity",
    "swing": "etude.attributes.swing:Swing",
    "danceability": "etude.attributes.danceability:Danceability",
    "chords_per_bar": "etude.attributes.chords_per_bar:ChordsPerBar",
    "pedal_use": "etude.attributes.pedal_use:PedalUse",
    "instruments": "etude.attributes.instruments:Instruments",
    "bars": "etude.attributes.bars:Bars",
    "metre": "etude.attributes.metre:Metre",
    "key": "etude.attributes.key:Key",
    "mode": "etude.attributes.mode:Mode",
    "tempo": "etude.attributes.tempo:Tempo",
    "duration": "etude.attributes.duration:Duration",
    "artist": "etude.attributes.artist:Artist",
    "emotion": "etude.attributes.emotion:Emotion",
    "genre": "etude.attributes.genre:Genre",
}


def attribute(name: str) -> Any:
    """Return an attribute by its name in ``ATTRIBUTES``, or your own by ``"module:Class"``.

    Raises:
        SettingsError: there is no such attribute.
    """
    return class_of_kind(name, ATTRIBUTES, where="attribute")


def numbers() -> tuple[str, ...]:
    """Return the names of the attributes whose values are numbers.

    Example:
        >>> "tempo" in numbers(), "metre" in numbers()
        (True, False)
    """
    return tuple(name for name in ATTRIBUTES if attribute(name).bins.kind == "number")


def measure(
    score: Score, names: Iterable[str] | None = None, *, labels: Mapping[str, str] | None = None
) -> dict[str, Value]:
    """Return the values of a score by attribute name; by default of all in ``ATTRIBUTES``.

    Args:
        score: the piece.
        names: of attributes.
        labels: of the piece, which tell the attributes that are labelled; a label that is no name of theirs is None.

    Example:
        >>> measure(Score.of([0, 0], [480, 480], [60, 64]), ["polyphony", "genre"], labels={"genre": "Jazz"})
        {'polyphony': 2.0, 'genre': ('jazz',)}
    """
    found = {}
    for name in ATTRIBUTES if names is None else names:
        one = attribute(name)
        told = (labels or {}).get(getattr(one, "label", None))
        found[name] = one.measure(score) if told is None else _told(one.bins, told)
    return found


def _told(bins: Bins, label: str) -> Value:
    try:
        return bins.parse(label)
    except SettingsError:
        return None
