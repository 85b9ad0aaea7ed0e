"""The sustain pedal for the absolute and the relative tokenizer: when it goes down and comes up, which notes it holds.

Turns are times, of ticks or of steps: down, up, down, up and so on; the last may be a down without an up. A
note that ends after the pedal went down and before it comes up ends when it comes up.
"""

import numpy as np

from etude.music.score import Controls
from etude.music.sustain import SUSTAIN


def pedal_turns(tick: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return the turns of one pedal.

    Args:
        tick: when it moves, in rising order.
        value: where to; from 64 on is down.

    Example:
        >>> pedal_turns(np.array([0, 10, 20, 30, 40]), np.array([0, 90, 127, 63, 64]))
        array([10, 30, 40])
    """
    is_down = value >= SUSTAIN
    turned = np.empty(len(is_down), bool)
    turned[:1] = is_down[:1]
    np.not_equal(is_down[1:], is_down[:-1], out=turned[1:])
    return tick[turned.nonzero()[0]]


def held_end(end: np.ndarray, turns: np.ndarray, last: int) -> np.ndarray:
    """Return when notes end with a pedal.

    Args:
        end: when they end by themselves, (N,).
        turns: of the pedal.
        last: when a pedal ends that does not come up.

    Example:
        >>> held_end(np.array([10, 11, 30, 31, 45]), np.array([10, 30, 40]), 100)
        array([ 10,  30,  30,  31, 100])
    """
    downs, num_ups = turns[::2], turns.size // 2
    # before the first turn a note ends by itself
    ups = np.full(downs.size + 1, last, end.dtype)
    ups[0] = np.iinfo(end.dtype).min
    ups[1 : 1 + num_ups] = turns[1::2]
    return np.maximum(end, ups[downs.searchsorted(end)])


def extended_end_tick(
    controls: Controls, end_tick: np.ndarray, track: np.ndarray | None, last_tick: int | None
) -> np.ndarray:
    """Return when notes end with the pedal of their own track, int64 (N,).

    Args:
        controls: the control changes of the piece.
        end_tick: when each note ends by itself, int64 (N,), N > 0.
        track: the track of each note, (N,); None if the piece has one track.
        last_tick: when a pedal ends that does not come up; None for the last note end or pedal movement.
    """
    tick, value, pedal_track = controls.tick, controls.value, controls.track
    is_pedal = controls.number == SUSTAIN
    if not is_pedal.all():
        tick, value, pedal_track = tick[is_pedal], value[is_pedal], pedal_track[is_pedal]
    if not tick.size:
        return end_tick
    last = max(int(end_tick.max()), int(tick[-1])) if last_tick is None else last_tick
    if track is None:
        return held_end(end_tick, pedal_turns(tick, value), last)
    result = end_tick.copy()
    for one in np.bincount(pedal_track).nonzero()[0]:
        notes, own = (track == one).nonzero()[0], (pedal_track == one).nonzero()[0]
        result[notes] = held_end(end_tick.take(notes), pedal_turns(tick.take(own), value.take(own)), last)
    return result
