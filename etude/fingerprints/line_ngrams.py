"""From a line of notes to n-grams: the intervals between a few successive notes, as one number.

Commonplaces are left out: n-grams of few different pitches, scales in one direction, and patterns that repeat
themselves. They would join strangers, and a piece without anything else is not told from others by its notes.
"""

from typing import NamedTuple

import numpy as np

# the golden ratio's multiplier and its odd powers: sums of small numbers times these do not meet by chance
_FACTORS = np.array([pow(0x9E3779B97F4A7C15, power, 2**64) for power in range(1, 16)], np.uint64)
_LATEST_MS = 2**31 - 1


class Ngrams(NamedTuple):
    """N-grams of a piece, a row an occurrence.

    Attributes:
        hash: what the n-gram is, uint64 (N,); equal in two pieces that have the same music there.
        place: when its first note begins, int32 (N,) [ms].
        pitch: of its first note, uint8 (N,), 0 for drums; what two pieces differ by is their transposition.
    """

    hash: np.ndarray
    place: np.ndarray
    pitch: np.ndarray


class Line(NamedTuple):
    """How a line becomes n-grams.

    Attributes:
        reach_sec: a note of the line is the highest, or lowest, for so long before and after it.
        size: notes of an n-gram, from 2 to 16; the longer the reach, the fewer and surer the notes.
        min_pitches: n-grams of fewer different pitches are left out.
        max_period: n-grams that repeat themselves after up to so many notes are left out.
        doublings: how many sampling levels later than others they are thinned, because they are fewer.
    """

    reach_sec: float
    size: int
    min_pitches: int
    max_period: int
    doublings: int


def ngrams_of_line(
    onset_sec: np.ndarray, pitch: np.ndarray, line: Line, *, salt: int, part: np.ndarray | None = None
) -> Ngrams:
    """Return the n-grams of successive notes that are no commonplaces.

    Args:
        onset_sec: when each note of the line begins, rising, (N,).
        pitch: int8 (N,).
        line: how.
        salt: tells n-grams of one kind of line from those of another.
        part: n-grams do not reach from one part into the next, (N,); one part by default.
    """
    count = max(len(pitch) - line.size + 1, 0)
    steps = np.diff(pitch).astype(np.int64).view(np.uint64)
    code = np.full(count, salt, np.uint64)
    for index in range(line.size - 1):
        code += steps[index : index + count] * _FACTORS[index]
    telling = _is_telling(pitch, line) if count else np.empty(0, bool)
    if part is not None:
        telling &= part[:count] == part[len(part) - count :]
    rows = np.flatnonzero(telling)
    place = np.minimum(np.rint(onset_sec[rows] * 1000), _LATEST_MS).astype(np.int32)
    return Ngrams(mixed(code[rows]) >> np.uint64(line.doublings), place, pitch[rows].astype(np.uint8))


def _is_telling(pitch: np.ndarray, line: Line) -> np.ndarray:
    """Tell which n-grams are no commonplaces: enough pitches, up and down, no repetition."""
    # a set of pitches as bits; two that are 64 semitones apart count as one
    seen, width = np.uint64(1) << (pitch & np.int8(63)).astype(np.uint64), 1
    while width < line.size:
        more = min(width, line.size - width)
        seen, width = seen[:-more] | seen[more:], width + more
    telling = np.bitwise_count(seen) >= line.min_pitches
    telling &= ~_all_of(pitch[1:] > pitch[:-1], line.size - 1)
    telling &= ~_all_of(pitch[1:] < pitch[:-1], line.size - 1)
    # a shorter period has too few pitches already
    for period in range(line.min_pitches, line.max_period + 1):
        telling &= ~_all_of(pitch[period:] == pitch[:-period], line.size - period)
    return telling


def _all_of(flags: np.ndarray, width: int) -> np.ndarray:
    """Tell of every ``width`` successive flags whether all are set."""
    done = 1
    while done < width:
        more = min(done, width - done)
        flags, done = flags[:-more] & flags[more:], done + more
    return flags


def mixed(values: np.ndarray) -> np.ndarray:
    """Return uint64 values scattered over all of uint64; equal ones stay equal, different ones different.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
    """
    values = values ^ (values >> np.uint64(30))
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values
