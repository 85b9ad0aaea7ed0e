"""One key struck again: when that is, and notes that sound on over it."""

from dataclasses import replace

import numpy as np

from etude.music.columns import MAX_TICK
from etude.music.score import Notes, Score


def next_strike_tick(notes: Notes) -> np.ndarray:
    """Return when the key of each note is struck again, later, on its track; int64 (N,), MAX_TICK if it is not.

    Example:
        >>> next_strike_tick(Score.of([0, 0, 480], [960, 960, 480], [60, 64, 60]).notes).tolist()
        [480, 2147483647, 2147483647]
    """
    key = notes.track.astype(np.int64) << 7 | notes.pitch
    strike = key << 32 | notes.onset_tick
    order = np.argsort(strike, kind="stable")
    strike = strike[order]
    # notes at one onset are one strike, so what comes next is the first that is greater
    later = np.append(strike, -1)[np.searchsorted(strike, strike, side="right")]
    result = np.empty(len(strike), np.int64)
    result[order] = np.where(later >> 32 == strike >> 32, later & 0xFFFFFFFF, MAX_TICK)
    return result


def cut_overlaps(score: Score) -> Score:
    """Let a note end where its key is struck again on its track; of notes struck together the longest stays.

    Example:
        >>> cut_overlaps(Score.of([0, 480], [960, 480], [60, 60])).notes.duration_tick
        array([480, 480], dtype=int32)
    """
    notes = score.notes
    columns = notes.onset_tick, notes.track, notes.pitch
    # in the order of a Score the longest of them comes last
    is_last = np.append(np.any([column[1:] != column[:-1] for column in columns], axis=0), True)[: len(notes)]
    notes = notes.take(is_last)
    duration = np.minimum(notes.duration_tick, next_strike_tick(notes) - notes.onset_tick)
    return replace(score, notes=notes.replace(duration_tick=duration))
