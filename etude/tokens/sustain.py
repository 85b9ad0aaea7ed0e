"""The sustain pedal, as columns: when notes end that were released while it was down."""

import numpy as np

from etude.music.score import Controls

_TRACK_SHIFT = 40
_TICK_MASK = (1 << _TRACK_SHIFT) - 1


def sustained_end_tick(controls: Controls, end_tick: np.ndarray, track: np.ndarray) -> np.ndarray:
    """Return when notes end with the sustain pedal of their own track, int64 (N,).

    The pedal is down from a controller 64 of at least 64 to the next one below. A note that ends while it is
    down ends when it comes up, or, if it never does, with the last note or pedal movement of the piece.

    Args:
        controls: the control changes of the piece.
        end_tick: when each note ends by itself, int64 (N,).
        track: the track of each note, (N,).
    """
    pedal = np.flatnonzero(controls.number == 64)
    is_down = controls.value[pedal] >= 64
    if not is_down.any() or not len(end_tick):
        return end_tick
    last_tick = max(int(end_tick.max()), int(controls.tick[pedal[-1]]))
    # one number orders by track, then tick; rows of one tick and track keep the order of the file
    track_base = controls.track[pedal].astype(np.int64) << _TRACK_SHIFT
    moment = track_base | controls.tick[pedal]
    order = np.argsort(moment, kind="stable")
    moment, track_base, is_down = moment[order], track_base[order], is_down[order]
    changed = (is_down[1:] != is_down[:-1]) | (track_base[1:] != track_base[:-1])
    turns = np.append(0, np.flatnonzero(changed) + 1)
    moment, track_base, is_down = moment[turns], track_base[turns], is_down[turns]
    downs = np.flatnonzero(is_down)
    unreleased = np.append(track_base, -1)[downs + 1] != track_base[downs]
    ups = np.where(unreleased, track_base[downs] | last_tick, np.append(moment, -1)[downs + 1])
    end = (track.astype(np.int64) << _TRACK_SHIFT) | end_tick
    # the last span to begin by a note's end; a span of an earlier track is over long before
    span = np.searchsorted(moment[downs], end, side="right")
    return np.maximum(end, np.append(-1, ups)[span]) & _TICK_MASK
