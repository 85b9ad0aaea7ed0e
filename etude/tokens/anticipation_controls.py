"""Which notes are told ahead: drawn as the published training draws them, as functions of (seed, index).

Of ten drawings of a piece one has no controls, one has spans of them, four have single notes, and four have whole
instruments, or none where there is but one. N is the number of notes.

Source:
    Thickstun et al. 2023, "Anticipatory Music Transformer": spans of 5 s at intervals of 20 s on average, notes with
    a probability of 0.1 to 0.9, subsets of instruments.
"""

import numpy as np

from etude.music.score import Score
from etude.randomness import Index, below, generator
from etude.tokens.anticipation_layout import STEPS_AHEAD, STEPS_PER_SEC
from etude.tokens.key_strikes import keys_of

SPAN_SEC = STEPS_AHEAD / STEPS_PER_SEC
MEAN_GAP_SEC = 20.0


def draw_controls(score: Score, seed: int, *index: Index) -> np.ndarray | None:
    """Return which notes of a score are told ahead, bool (N,), or None for none, for ``encode``.

    Args:
        score: the piece.
        seed: of the run.
        index: of the drawing, such as an epoch and a piece.
    """
    kind = below(10, seed, "controls", *index)
    if kind == 0 or not len(score.notes):
        return None
    if kind == 1:
        return controls_in_spans(score, seed, *index)
    if kind < 6:
        return controls_at_random(score, (1 + below(9, seed, "control_rate", *index)) / 10, seed, *index)
    return controls_of_instruments(score, seed, *index)


def controls_in_spans(score: Score, seed: int, *index: Index) -> np.ndarray:
    """Return the notes that begin in spans of 5 s, 20 s apart on average."""
    onset, draws = score.onset_sec, generator(seed, "control_spans", *index)
    result = np.zeros(len(onset), bool)
    note = 0
    while note < len(onset):
        begin = int(onset.searchsorted(onset[note] + draws.exponential(MEAN_GAP_SEC)))
        if begin == len(onset):
            break
        note = int(onset.searchsorted(onset[begin] + SPAN_SEC))
        result[begin:note] = True
    return result


def controls_at_random(score: Score, probability: float, seed: int, *index: Index) -> np.ndarray:
    """Return notes drawn one by one."""
    return generator(seed, "control_notes", *index).random(len(score.notes)) < probability


def controls_of_instruments(score: Score, seed: int, *index: Index) -> np.ndarray | None:
    """Return the notes of some instruments, at least one and not all; None where there is but one."""
    instrument = keys_of(score) >> 7
    found = np.unique(instrument)
    if len(found) < 2:
        return None
    count = 1 + below(len(found) - 1, seed, "control_instruments", *index)
    return np.isin(instrument, generator(seed, "control_instruments", *index).permutation(found)[:count])
