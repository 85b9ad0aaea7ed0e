"""The sustain pedal, as columns: when notes end that were released while it was down."""

import numpy as np

from etude.music.score import Controls

SUSTAIN = 64
"""The controller's number, and the value from which on the pedal counts as down."""


def sustained_end_tick(controls: Controls, end_tick: np.ndarray, track: np.ndarray | None) -> np.ndarray:
    """Return when notes end with the sustain pedal of their own track, int64 (N,).

    The pedal is down from a controller 64 of at least 64 to the next one below. A note that ends while it is
    down ends when it comes up, or, if it never does, with the last note or pedal movement of the piece.

    Args:
        controls: the control changes of the piece.
        end_tick: when each note ends by itself, int64 (N,), N > 0.
        track: the track of each note, (N,); None if the piece has one track.
    """
    rows = (controls.number == SUSTAIN).nonzero()[0]
    if not rows.size:
        return end_tick
    is_down = (controls.value >= SUSTAIN)[rows]
    last_tick = max(int(np.maximum.reduce(end_tick)), int(controls.tick[rows[-1]]))
    if track is None:
        return _held(end_tick, controls.tick, rows, is_down, last_tick)
    result, pedal_track = end_tick.copy(), controls.track[rows]
    for one in np.bincount(pedal_track[is_down]).nonzero()[0]:
        notes, own = (track == one).nonzero()[0], (pedal_track == one).nonzero()[0]
        result[notes] = _held(end_tick.take(notes), controls.tick, rows.take(own), is_down.take(own), last_tick)
    return result


def _held(
    end_tick: np.ndarray, control_tick: np.ndarray, rows: np.ndarray, is_down: np.ndarray, last_tick: int
) -> np.ndarray:
    """Return the ends of one track's notes with its pedal, whose movements are some rows of the controls."""
    turned = np.empty(len(rows), bool)
    turned[0] = is_down[0]
    np.not_equal(is_down[1:], is_down[:-1], out=turned[1:])
    turns = control_tick[rows[turned.nonzero()[0]]]
    # the first turn is down, so they take turns; before the first span a note ends by itself
    downs, num_ups = turns[::2], turns.size // 2
    ups = np.full(downs.size + 1, last_tick, np.int64)
    ups[0] = -1
    ups[1 : 1 + num_ups] = turns[1::2]
    return np.maximum(end_tick, ups[downs.searchsorted(end_tick, side="right")])
