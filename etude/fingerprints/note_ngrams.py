"""Note n-grams that stay the same when a piece is transposed, retimed, thinned, re-quantised or re-arranged.

A note is an *edge* at some reach when no note within that many seconds before or after it is higher (the upper
line) or lower (the lower line). Edges at a short reach are nearly the skyline and the bass line; at a long reach
they are the few notes that a listener would point at, and these survive when notes are dropped, shifted to a grid
or merged into other tracks. An n-gram is the intervals between a few successive edges of one line; times do not
enter, so no tempo matters, and successive edges of one pitch count once.

Files without pitched notes have lines of drum strokes instead, in which the rarer drums stand higher; these are not
transposed. Commonplaces are left out: n-grams of few different pitches, scales, and patterns that repeat.
"""

from typing import NamedTuple

import numpy as np

from etude.fingerprints.edges import upper_edges
from etude.music.score import Score


class _Line(NamedTuple):
    """How the edges at one reach become n-grams."""

    reach_sec: float
    size: int
    """Edges of an n-gram: the longer the reach, the fewer and surer the edges."""
    min_pitches: int
    max_period: int
    """N-grams that repeat themselves after so many edges are left out."""
    doublings: int
    """How many sampling levels later than others they are thinned, because there are fewer of them."""


_PITCHED = (_Line(0.05, 8, 4, 4, 0), _Line(0.25, 8, 4, 4, 1), _Line(0.7, 6, 4, 2, 2))
_DRUMS = (_Line(0.04, 10, 4, 5, 0), _Line(0.08, 14, 3, 6, 0))

MIN_PITCHED = 16
"""Files with fewer pitched notes than this are told by their drums."""

_DRUM_KINDS = (
    (42, 44, 46, 22, 26),
    (51, 53, 59),
    (54, 56, 69, 70, 80, 81, 82),
    (35, 36),
    (37, 38, 39, 40),
    (41, 43, 45, 47, 48, 50, 58, 60, 61, 62, 63, 64),
    (49, 52, 55, 57),
)
"""General MIDI keys of hi-hats, rides, shakers, kicks, snares, toms and crashes: the rarer, the higher."""

_FACTORS = np.array(
    [pow(0x9E3779B97F4A7C15, power, 2**64) for power in range(1, 16)],
    np.uint64,
)


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


def ngrams(score: Score) -> Ngrams:
    """Return every n-gram of a piece, line by line, in the order of time within a line.

    Example:
        >>> tune = [60, 64, 62, 65, 64, 67, 65, 69, 67, 60]
        >>> low = Score.of(range(0, 4800, 480), [480] * 10, tune)
        >>> high = Score.of(range(0, 4800, 480), [480] * 10, [pitch + 5 for pitch in tune])
        >>> bool((ngrams(low).hash == ngrams(high).hash).all()), int(ngrams(high).pitch[0])
        (True, 65)
    """
    notes = score.notes
    onset_sec, pitch, track = score.onset_sec, notes.pitch.astype(np.int8), notes.track
    is_drum = np.array([track.is_drum for track in score.tracks] or [False])
    if is_drum.any():
        drums = is_drum[track]
        if len(pitch) - np.count_nonzero(drums) < MIN_PITCHED:
            return _joined(_of_drums(onset_sec[drums], pitch[drums]))
        onset_sec, pitch, track = (column[~drums] for column in (onset_sec, pitch, track))
    return _joined(_of_pitched(onset_sec, pitch, track))


def _joined(parts: list[Ngrams]) -> Ngrams:
    return Ngrams(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _of_pitched(onset_sec: np.ndarray, pitch: np.ndarray, track: np.ndarray) -> list[Ngrams]:
    reaches_sec = tuple(line.reach_sec for line in _PITCHED)
    result = []
    for side, height in enumerate((pitch, -pitch)):
        edges = upper_edges(onset_sec, height, reaches_sec)
        for number, (rows, line) in enumerate(zip(edges, _PITCHED, strict=True)):
            result.append(_of_line(onset_sec[rows], pitch[rows], line, salt=1 + 2 * number + side))
    if len(track) and track.min() != track.max():
        result.append(_of_tracks(onset_sec, pitch, track))
    return result


def _of_tracks(onset_sec: np.ndarray, pitch: np.ndarray, track: np.ndarray) -> Ngrams:
    """Return the n-grams of the upper line of every track, which has them in common with the track alone."""
    order = np.argsort(track, kind="stable")
    onset_sec, pitch, track = onset_sec[order], pitch[order], track[order]
    # one after the other, so far apart that no reach leads from one to the next
    apart_sec = track * (onset_sec.max() + 2 * _PITCHED[0].reach_sec)
    rows = upper_edges(onset_sec + apart_sec, pitch, (_PITCHED[0].reach_sec,))[0]
    return _of_line(onset_sec[rows], pitch[rows], _PITCHED[0], salt=1, part=track[rows])


def _of_drums(onset_sec: np.ndarray, pitch: np.ndarray) -> list[Ngrams]:
    kinds = np.full(128, 3, np.int8)
    for height, keys in enumerate(_DRUM_KINDS, 1):
        kinds[list(keys)] = height
    height = kinds[pitch]
    result = []
    for number, line in enumerate(_DRUMS):
        rows = _strokes(onset_sec, height, line.reach_sec)
        every = _of_line(onset_sec[rows], height[rows], line, salt=91 + number)
        result.append(every._replace(pitch=np.zeros_like(every.pitch)))
    return result


def _strokes(onset_sec: np.ndarray, height: np.ndarray, reach_sec: float) -> np.ndarray:
    """Return the rows of drum strokes: the highest within reach, the first of several."""
    rows = upper_edges(onset_sec, height, (reach_sec,), repeats=True)[0]
    is_new = np.ones(len(rows), bool)
    is_new[1:] = np.diff(onset_sec[rows]) > reach_sec
    return rows[is_new]


def _of_line(
    onset_sec: np.ndarray, pitch: np.ndarray, line: _Line, *, salt: int, part: np.ndarray | None = None
) -> Ngrams:
    """Return the n-grams of successive edges, commonplaces left out."""
    count = len(pitch) - line.size + 1
    if count <= 0:
        return Ngrams(np.empty(0, np.uint64), np.empty(0, np.int32), np.empty(0, np.uint8))
    step = np.diff(pitch).astype(np.int64).astype(np.uint64)
    code = np.full(count, salt, np.uint64)
    for index in range(line.size - 1):
        code += step[index : index + count] * _FACTORS[index]
    telling = _is_telling(pitch, line)
    if part is not None:
        telling &= part[:count] == part[line.size - 1 :]
    rows = np.flatnonzero(telling)
    place = np.rint(onset_sec[rows] * 1000).astype(np.int32)
    return Ngrams(mixed(code[rows]) >> np.uint64(line.doublings), place, pitch[rows].astype(np.uint8))


def _is_telling(pitch: np.ndarray, line: _Line) -> np.ndarray:
    """Tell which n-grams are no commonplace: enough pitches, up and down, no repetition."""
    seen = np.uint64(1) << (pitch.view(np.uint8) & np.uint8(63)).astype(np.uint64)
    width = 1
    while width < line.size:
        more = min(width, line.size - width)
        seen = seen[:-more] | seen[more:]
        width += more
    telling = np.bitwise_count(seen) >= line.min_pitches
    telling &= ~_all_in_window(pitch[1:] > pitch[:-1], line.size - 1)
    telling &= ~_all_in_window(pitch[1:] < pitch[:-1], line.size - 1)
    for period in range(1, line.max_period + 1):
        telling &= ~_all_in_window(pitch[period:] == pitch[:-period], line.size - period)
    return telling


def _all_in_window(flags: np.ndarray, width: int) -> np.ndarray:
    """Tell of every ``width`` successive flags whether all are set."""
    total = np.zeros(len(flags) + 1, np.int32)
    np.cumsum(flags, out=total[1:])
    return total[width:] - total[:-width] == width


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
