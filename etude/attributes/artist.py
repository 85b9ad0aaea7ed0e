"""Artist: who wrote the piece; told by a label, for notes do not tell.

Source: names and order are those of MuseCoco's S2s1.
"""

from etude.attributes.bins import Bins
from etude.music.score import Score


class Artist:
    """The composer, one of seventeen."""

    title = "artist"
    unit = "name"
    meaning = "Who wrote the piece, or in whose manner it is."
    origin = "labelled"
    label = "composer"
    transposed = "same"
    faster = "same"
    bins = Bins.of_words(
        (
            *("Beethoven", "Mozart", "Chopin", "Schubert", "Schumann", "Bach", "Haydn", "Brahms", "Handel"),
            *("Tchaikovsky", "Mendelssohn", "Dvořák", "Liszt", "Stravinsky", "Mahler", "Prokofiev", "Shostakovich"),
        ),
        aliases={"bach-js": "Bach", "dvorak": "Dvořák", "händel": "Handel"},
    )

    @staticmethod
    def measure(score: Score) -> None:
        """Return None: notes do not tell."""

    @staticmethod
    def evidence(score: Score) -> str:
        """Say where it comes from."""
        return "told by labels, not by notes"
