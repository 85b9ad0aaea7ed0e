"""Genre: kinds of music, several of which may hold; told by a label, for notes do not tell.

Spellings of MuseCoco and of the corpora in `etude/corpora` are understood as well.

Source: names and order are those of MuseCoco's S4.
"""

from etude.attributes.bins import Bins
from etude.music.score import Score


class Genre:
    """Any of twenty-two genres."""

    title = "genre"
    unit = "names"
    meaning = "What kinds of music the piece belongs to; several may hold."
    origin = "labelled"
    label = "genre"
    transposed = "same"
    faster = "same"
    bins = Bins.of_sets(
        (
            *("new age", "electronic", "rap", "religious", "international", "easy listening", "avant-garde", "r&b"),
            *("latin", "children", "jazz", "classical", "comedy", "pop and rock", "reggae", "stage", "folk", "blues"),
            *("vocal", "holiday", "country", "symphony"),
        ),
        aliases={
            **{"new_age": "new age", "easy_listening": "easy listening", "avant_garde": "avant-garde", "rnb": "r&b"},
            **{"comedy_spoken": "comedy", "pop_rock": "pop and rock", "pop": "pop and rock", "rock": "pop and rock"},
            **{"punk": "pop and rock", "metal": "pop and rock", "hip-hop": "rap", "hiphop": "rap", "soul": "r&b"},
            **{"funk": "r&b", "gospel": "religious", "sacred": "religious", "world": "international"},
            **{"ambient": "new age", "disco": "electronic", "film": "stage", "musical": "stage", "ragtime": "jazz"},
            **{"christmas": "holiday", "reel": "folk", "jig": "folk", "hornpipe": "folk"},
        },
    )

    @staticmethod
    def measure(score: Score) -> None:
        """Return None: notes do not tell."""

    @staticmethod
    def evidence(score: Score) -> str:
        """Say where it comes from."""
        return "told by labels, not by notes"
