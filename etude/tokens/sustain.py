"""The sustain pedal, as columns: when notes end that were released while it was down."""

import numpy as np

from etude.music.score import Controls

SUSTAIN = 64
"""The controller's number, and the value from which on the pedal counts as down."""

_TRACK_BIT = 40
"""Ticks fit below it."""


def sustained_end_tick(controls: Controls, end_tick: np.ndarray, track: np.ndarray) -> np.ndarray:
    """Return when notes end with the sustain pedal of their own track, int64 (N,).

    The pedal is down from a controller 64 of at least 64 to the next one below. A note that ends while it is
    down ends when it comes up, or, if it never does, with the last note or pedal movement of the piece.

    Args:
        controls: the control changes of the piece.
        end_tick: when each note ends by itself, int64 (N,), N > 0.
        track: the track of each note, (N,).
    """
    rows = np.flatnonzero(controls.number == SUSTAIN)
    value, track_of = controls.value[rows], controls.track
    if not len(rows) or value.max() < SUSTAIN:
        return end_tick
    last_tick = max(int(end_tick.max()), int(controls.tick[rows[-1]]))
    if (track_of != track_of[0]).any():
        # rows of one track keep the order of the file, which at one tick has a meaning
        order = np.argsort(track_of[rows], kind="stable")
        rows, value = rows[order], value[order]
    is_down, track_of = value >= SUSTAIN, track_of[rows]
    turns = np.flatnonzero((is_down[1:] != is_down[:-1]) | (track_of[1:] != track_of[:-1]))
    turns = np.concatenate([[0], turns + 1])
    # one number for track and tick, so that one search serves all tracks; -1 stands after the last
    base = np.concatenate([track_of[turns].astype(np.int64) << _TRACK_BIT, [-1]])
    moment = base | np.concatenate([controls.tick[rows[turns]], [-1]])
    downs = np.flatnonzero(is_down[turns])
    released = base[downs + 1] == base[downs]
    ups = np.where(released, moment[downs + 1], base[downs] | last_tick)
    end = (track.astype(np.int64) << _TRACK_BIT) | end_tick
    # the last span to begin by a note's end; a span of an earlier track is over long before
    span = np.searchsorted(moment[downs], end, side="right")
    return np.maximum(end, np.concatenate([[-1], ups])[span]) & ((1 << _TRACK_BIT) - 1)
