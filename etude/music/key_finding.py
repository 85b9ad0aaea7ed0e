"""The key of a piece: one of 24, from how long each pitch class sounds, with a probability.

The twelve times are taken to their square roots, so that one long pedal tone does not outweigh all others, and scaled
to length 1. Each key weighs them, from its tonic on, with the profile of its mode; the key of the largest sum is the
answer, and the sums are what a softmax turns into probabilities. Drums are left out, the pedal is not counted.

One key is found for the whole piece: one that changes key gives the one that lasts, or one between. Relatives (C major,
A minor) are mistaken for each other most.

Source: correlation with tone profiles is the method of Krumhansl, "Cognitive Foundations of Musical Pitch" (1990),
chapter 4. These profiles are our own: a multinomial logistic regression on half of the songs of POP909 (MIT licence);
`benchmarks/key_finding.py` makes them anew and measures them on the other half and on a collection they never saw.
"""

import numpy as np

from etude.music.score import Score

# hundredths of a natural-logarithmic unit, tonic first
MAJOR = (934, 15, -2, -444, 440, 261, -464, 767, -90, -295, -749, 141)
MINOR = (793, -686, 101, 292, -347, -227, -321, 590, 110, -712, -163, 55)
MAJOR_RARER = 258
"""How much less likely a major key is where the tones say nothing, in the same unit."""

MAJOR_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
KEYS = (*(f"{tonic} major" for tonic in MAJOR_TONICS), *(f"{tonic} minor" for tonic in MINOR_TONICS))
"""The names of the 24 keys: major from C, then minor from C."""

_WEIGHTS = np.array([np.roll(mode, tonic) for mode in (MAJOR, MINOR) for tonic in range(12)]) / 100
_OFFSET = np.repeat([-MAJOR_RARER / 100, 0.0], 12)


def pitch_class_time(score: Score) -> np.ndarray:
    """Return the seconds that each pitch class sounds, (12,) float64 from C, drums left out."""
    pitched = ~np.array([track.is_drum for track in score.tracks] or [False])[score.notes.track]
    seconds = (score.offset_sec - score.onset_sec) * pitched
    return np.bincount(score.notes.pitch % 12, seconds, minlength=12)


def key_probabilities(time: np.ndarray) -> np.ndarray | None:
    """Return how likely each of ``KEYS`` is, (24,) float64 that add up to 1; None where nothing sounds.

    Args:
        time: how long each pitch class sounds, (12,), in any unit.
    """
    total = float(time.sum())
    if total <= 0:
        return None
    # sums in a fixed precision: a moved piece finds the moved key whatever the order of adding up
    fit = np.round(_WEIGHTS @ np.sqrt(time / total) + _OFFSET, 9)
    likely = np.exp(fit - fit.max())
    return likely / likely.sum()


def find_key(score: Score) -> tuple[int, bool] | None:
    """Return the tonic, 0 for C to 11 for B, and whether the key is minor; None where nothing sounds.

    Example:
        >>> find_key(Score.of([0, 1, 2, 3], [4, 3, 2, 1], [60, 64, 67, 65]))
        (0, False)
    """
    likely = key_probabilities(pitch_class_time(score))
    if likely is None:
        return None
    key = int(np.argmax(likely))
    return key % 12, key >= 12
