"""Key: the most likely of 24; see ``etude.music.key_finding``."""

import numpy as np

from etude.attributes.bins import Bins
from etude.music.key_finding import KEYS, find_key, key_probabilities, pitch_class_time
from etude.music.score import Score


class Key:
    """The key of the whole piece."""

    title = "key"
    unit = "tonic and mode"
    meaning = "The key that the sounding tones fit best; a piece that changes key has the one that lasts."
    origin = "measured"
    transposed = "same by octaves"
    faster = "same"
    bins = Bins.of_words(
        KEYS,
        aliases={
            "c# major": "Db major",
            "d# major": "Eb major",
            "gb major": "F# major",
            "g# major": "Ab major",
            "a# major": "Bb major",
            "cb major": "B major",
            "db minor": "C# minor",
            "d# minor": "Eb minor",
            "gb minor": "F# minor",
            "ab minor": "G# minor",
            "a# minor": "Bb minor",
        },
    )

    @staticmethod
    def measure(score: Score) -> str | None:
        """Return such as ``F# minor``, or None where no pitched note sounds."""
        key = find_key(score)
        return None if key is None else KEYS[key[0] + 12 * key[1]]

    @staticmethod
    def evidence(score: Score) -> str:
        """Say how likely the first two keys are, and what the file itself claims."""
        likely = key_probabilities(pitch_class_time(score))
        if likely is None:
            return "no pitched notes"
        first, second = np.argsort(-likely, kind="stable")[:2].tolist()
        said = f"{KEYS[first]} {100 * likely[first]:.0f} %, {KEYS[second]} {100 * likely[second]:.0f} % likely"
        return said + (f"; {len(score.key_signatures)} key signature(s) not used" if len(score.key_signatures) else "")
