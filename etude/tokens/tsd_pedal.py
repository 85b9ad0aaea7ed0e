"""The sustain pedal as spans of the grid: when it is down, for each instrument."""

from collections.abc import Iterator

import numpy as np

from etude.music.score import Score
from etude.tokens.tsd_grid import Grid
from etude.tokens.tsd_layout import NONE

SUSTAIN = 64
_DOWN = 64


def pedal_spans(score: Score, grid: Grid, of_track: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield instrument, begins and ends in ticks of the grid, spans that touch joined.

    A value of 64 or more is down. A pedal that never comes up again is passed over.

    Args:
        score: the piece.
        grid: its grid.
        of_track: the instrument of each track.
    """
    controls = score.controls
    moves = controls.take(controls.number == SUSTAIN) if len(controls) else controls
    if not len(moves):
        return
    instrument = of_track[moves.track]
    for one in np.unique(instrument[instrument != NONE]).tolist():
        spans = [_spans(moves.tick[own], moves.value[own]) for own in _tracks(moves.track, instrument == one)]
        begin, length = (np.concatenate(column) for column in zip(*spans, strict=True))
        if len(begin):
            yield one, *_joined(*grid.spans(begin, length))


def _tracks(track: np.ndarray, own: np.ndarray) -> Iterator[np.ndarray]:
    for one in np.unique(track[own]).tolist():
        yield own & (track == one)


def _spans(tick: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return when one pedal goes down and for how long, in ticks of the Score."""
    is_down = value >= _DOWN
    changes = np.flatnonzero(np.diff(is_down, prepend=False))
    # down and up in turn, beginning with down
    down, up = changes[0::2], changes[1::2]
    begin = tick[down[: len(up)]]
    return begin, tick[up] - begin


def _joined(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join spans that overlap or touch."""
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order])
    is_new = np.append(True, begin[1:] > end[:-1])
    return begin[is_new], end[np.append(is_new[1:], True)]
