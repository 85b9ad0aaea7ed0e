"""Note n-grams that stay the same when a piece is transposed, retimed, thinned, re-quantised or re-arranged.

A note is an *edge* at some reach when no note within that many seconds before or after it is higher (the upper
line) or lower (the lower line). Edges at a short reach are nearly the skyline and the bass line; at a long reach
they are the few notes that a listener would point at, and these survive when notes are dropped, shifted to a grid
or merged into other tracks. An n-gram is the intervals between a few successive edges of one line: times do not
enter, and successive edges of one pitch count once. Tempo matters little: a reach is a time, but each of the three
meets other edges. Every track has its own upper line besides, by which a melody taken out of a piece is found.

Files without pitched notes have lines of drum strokes instead, in which rarer drums stand higher; these are not
transposed.
"""

import numpy as np

from etude.fingerprints.edges import upper_edges
from etude.fingerprints.line_ngrams import Line, Ngrams, ngrams_of_line
from etude.music.score import Score

PITCHED = (Line(0.05, 8, 4, 4, 0), Line(0.25, 8, 4, 4, 1), Line(0.7, 6, 4, 3, 2))
DRUMS = (Line(0.04, 10, 4, 5, 0), Line(0.08, 14, 3, 6, 0))
"""Lines of pitched notes and of drums; chosen by ``benchmarks/near_duplicates.py``."""

MIN_PITCHED = 16
"""Files with drums and fewer pitched notes than this are told by their drums."""

_FIRST_DRUM_SALT = 91
_DRUM_KINDS = (
    (22, 26, 42, 44, 46),  # hi-hats
    (51, 53, 59),  # rides
    (54, 56, 69, 70, 80, 81, 82),  # shakers, bells, and whatever is not listed
    (35, 36),  # kicks
    (37, 38, 39, 40),  # snares
    (41, 43, 45, 47, 48, 50, 58, 60, 61, 62, 63, 64),  # toms, congas
    (49, 52, 55, 57),  # crashes
)
"""General MIDI drums, from those that are struck most to those that are struck least."""

_HEIGHT_OF_DRUM = np.full(128, 3, np.int8)
for _height, _keys in enumerate(_DRUM_KINDS, 1):
    _HEIGHT_OF_DRUM[list(_keys)] = _height
_HEIGHT_OF_DRUM.flags.writeable = False


def ngrams(score: Score) -> Ngrams:
    """Return every n-gram of a piece that is no commonplace, line by line.

    Drums are left out, unless there are hardly any other notes.

    Example:
        >>> tune = [60, 64, 62, 65, 64, 67, 65, 69, 67, 60]
        >>> low = Score.of(range(0, 4800, 480), [480] * 10, tune)
        >>> high = Score.of(range(0, 4800, 480), [480] * 10, [pitch + 5 for pitch in tune])
        >>> bool((ngrams(low).hash == ngrams(high).hash).all()), int(ngrams(high).pitch[0])
        (True, 65)
    """
    notes = score.notes
    onset_sec, pitch, track = score.onset_sec, notes.pitch.astype(np.int8), notes.track
    is_drum = np.array([one.is_drum for one in score.tracks] or [False])[track]
    if is_drum.any():
        if np.count_nonzero(~is_drum) < MIN_PITCHED:
            return _of_drums(onset_sec[is_drum], _HEIGHT_OF_DRUM[pitch[is_drum]])
        onset_sec, pitch, track = (column[~is_drum] for column in (onset_sec, pitch, track))
    lines = []
    for side, height in enumerate((pitch, -pitch)):
        edges = upper_edges(onset_sec, height, tuple(line.reach_sec for line in PITCHED))
        for number, (rows, line) in enumerate(zip(edges, PITCHED, strict=True)):
            lines.append(ngrams_of_line(onset_sec[rows], pitch[rows], line, salt=1 + 2 * number + side))
    if len(track) and track.min() != track.max():
        lines.append(_of_tracks(onset_sec, pitch, track))
    return _joined(lines)


def _of_tracks(onset_sec: np.ndarray, pitch: np.ndarray, track: np.ndarray) -> Ngrams:
    """Return the n-grams of the upper line of every track, as the track alone would have them."""
    order = np.argsort(track, kind="stable")
    onset_sec, pitch, track = onset_sec[order], pitch[order], track[order]
    # one after the other, so far apart that no reach leads from one to the next
    apart_sec = track * (onset_sec.max() + 2 * PITCHED[0].reach_sec)
    rows = upper_edges(onset_sec + apart_sec, pitch, (PITCHED[0].reach_sec,))[0]
    return ngrams_of_line(onset_sec[rows], pitch[rows], PITCHED[0], salt=1, part=track[rows])


def _of_drums(onset_sec: np.ndarray, height: np.ndarray) -> Ngrams:
    """Return the n-grams of drum strokes: the highest of the drums struck together, one after the other."""
    lines = []
    for number, line in enumerate(DRUMS):
        rows = upper_edges(onset_sec, height, (line.reach_sec,), with_repeats=True)[0]
        is_new = np.ones(len(rows), bool)
        np.greater(np.diff(onset_sec[rows]), line.reach_sec, out=is_new[1:])
        rows = rows[is_new]
        lines.append(ngrams_of_line(onset_sec[rows], height[rows], line, salt=_FIRST_DRUM_SALT + number))
    every = _joined(lines)
    return every._replace(pitch=np.zeros_like(every.pitch))


def _joined(lines: list[Ngrams]) -> Ngrams:
    return Ngrams(*(np.concatenate(columns) for columns in zip(*lines, strict=True)))
