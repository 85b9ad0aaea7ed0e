"""The column work of the performance tokenizer: notes to events to ids, and ids to notes.

Times are steps of 10 ms; N is the number of notes, T of ids. No loop runs over notes: an event is one
whole number,

    step (24 bits) | 0 for an end, 1 for a beginning | pitch (7 bits) | velocity level (5 bits)

so one sort of plain numbers gives the order of the ids: at one time ends before beginnings, low pitches
before high ones.
"""

from typing import NamedTuple

import numpy as np

NOTE_ON, NOTE_OFF, TIME_SHIFT, VELOCITY, END, PAD = 0, 128, 256, 356, 388, 389
"""The first id of each kind."""

LONGEST_SHIFT = 100
"""Steps in the longest TIME_SHIFT: one second."""

LONGEST_SHIFT_ID = TIME_SHIFT + LONGEST_SHIFT - 1

LONGEST_PIECE = 24 * 60 * 60 * 100
"""Steps in 24 hours; they fit into the 24 bits of a step."""

SHIFT_STEPS = np.zeros(PAD + 1, np.int64)
"""How far each id moves the clock."""
SHIFT_STEPS[TIME_SHIFT:VELOCITY] = np.arange(1, LONGEST_SHIFT + 1)

# what each id adds to the clock, and above that whether it is a velocity: one sum for both
_LEVELS_AT = 36
_CLOCK_MASK = (1 << _LEVELS_AT) - 1
_MOVES = SHIFT_STEPS.copy()
_MOVES[VELOCITY:END] = 1 << _LEVELS_AT

_STEP_MASK = (1 << 24) - 1
_IS_ON = 1 << 12
_UNTOLD_LEVEL = 16
"""The level of notes before any VELOCITY, which only ids that break the grammar have."""


class Told(NamedTuple):
    """The notes that ids tell, in steps, and what had to be mended."""

    onset: np.ndarray
    end: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray
    repairs: dict[str, int]


def sorted_events(onset: np.ndarray, end: np.ndarray, pitch: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return the beginnings and ends of notes in the order of ids, as the module's header packs them.

    Every note lasts at least a step; a pitch struck again ends there; of notes that strike one pitch at one
    step a single one stays, with the highest level and the latest end.

    Args:
        onset: steps, int32 (N,), N > 0, in rising order.
        end: steps, int32 (N,).
        pitch: 0..127, int32 (N,).
        level: velocity level 0..31, int32 (N,).

    Returns:
        int32 or, for long pieces, int64: two for each note that stays.
    """
    # numpy sorts bytes by radix, and notes of one pitch stay in order of onset
    order = pitch.astype(np.uint8).argsort(kind="stable")
    base = pitch << 24
    strike = (base | onset)[order]
    end = (base | np.maximum(end, onset + 1))[order]
    level = level[order]
    again = strike[1:] == strike[:-1]
    if again.any():
        first = np.concatenate([[0], np.flatnonzero(~again) + 1])
        strike, end, level = strike[first], np.maximum.reduceat(end, first), np.maximum.reduceat(level, first)
    # a strike of a higher pitch exceeds every end of a lower one, so only the same pitch cuts a note
    np.minimum(end[:-1], strike[1:], out=end[:-1])
    pitch_bits = (strike >> 24) << 5
    end &= _STEP_MASK
    strike &= _STEP_MASK
    # half the width is twice the speed, and enough for the steps of 43 minutes
    events = np.empty(2 * len(end), np.int32 if np.maximum.reduce(end) < 1 << 18 else np.int64)
    ends, ons = events[: len(end)], events[len(end) :]
    np.left_shift(end, 13, out=ends, dtype=events.dtype)
    np.left_shift(strike, 13, out=ons, dtype=events.dtype)
    ends |= pitch_bits
    pitch_bits |= level
    ons |= pitch_bits | _IS_ON
    events.sort()
    return events


def ids_of_events(events: np.ndarray) -> np.ndarray:
    """Write sorted events as ids: time shifts, a velocity where the level changes, the event itself.

    Args:
        events: from ``sorted_events``.

    Returns:
        int32 (T,).
    """
    bits = events.astype(np.int32, copy=False)  # keeps all but the high bits of the step
    gap = (events >> 13).astype(np.int32, copy=False)
    gap[1:] -= gap[:-1].copy()
    shifts = (gap + np.int32(LONGEST_SHIFT - 1)) // np.int32(LONGEST_SHIFT)
    ons = ((bits & _IS_ON) != 0).nonzero()[0]
    level = bits[ons] & 31
    # 1 where a velocity stands before the event
    louder = np.zeros(len(events), np.int32)
    louder[ons[1:]] = level[1:] != level[:-1]
    louder[ons[0]] = 1
    place = np.zeros(len(events) + 1, np.int64)
    (shifts + louder + np.int32(1)).cumsum(out=place[1:])
    # place 0 is spare; every event writes a velocity and a shift, whether it has them or not, for then they
    # fall on places that are written again further down; what is not written is the full seconds of long gaps
    ids = np.full(int(place[-1]) + 1, LONGEST_SHIFT_ID, np.int32)
    ids[place[1:][ons] - 1] = level + VELOCITY
    ids[place[:-1] + shifts] = gap - shifts * np.int32(LONGEST_SHIFT) + np.int32(LONGEST_SHIFT_ID)
    # an event has the bits 0 or 1, pitch where its id has 1 or 0, pitch
    ids[place[1:]] = ((bits >> 5) & 255) ^ NOTE_OFF
    return ids[1:]


def notes_of_ids(ids: np.ndarray) -> Told:
    """Read any ids of the vocabulary as notes, in order of pitch, then onset.

    Args:
        ids: 0..389, int64 (T,).
    """
    ids, clock, num_levels, last = _until_end(ids)
    levels = np.append(_UNTOLD_LEVEL, ids[((ids >= VELOCITY) & (ids < END)).nonzero()[0]] - VELOCITY)
    rows = (ids < TIME_SHIFT).nonzero()[0]
    there = ids.take(rows)
    order = (there & 127).astype(np.uint8).argsort(kind="stable")
    rows, there = rows.take(order), there.take(order)
    pitch, is_on, onset, told_level = there & 127, there < NOTE_OFF, clock.take(rows), num_levels.take(rows)
    # a note ends with whatever happens next to its pitch
    follows = np.zeros(len(rows), bool)
    np.equal(pitch[1:], pitch[:-1], out=follows[:-1])
    end = np.maximum(last, onset + 1)
    end[:-1][follows[:-1]] = onset[1:][follows[:-1]]
    is_kept = is_on & (end > onset)
    starts_after_on = np.zeros(len(rows), bool)
    np.logical_and(follows[:-1], is_on[:-1], out=starts_after_on[1:])
    repairs = {
        "stray_offs": ~is_on & ~starts_after_on,
        "restruck": is_on & starts_after_on,
        "hanging": is_on & ~follows,
        "without_length": is_on & ~is_kept,
        "without_velocity": is_on & (told_level == 0),
    }
    kept = is_kept.nonzero()[0]
    return Told(
        onset=onset.take(kept),
        end=end.take(kept),
        pitch=pitch.take(kept),
        velocity=np.maximum(4 * levels.take(told_level.take(kept)), 1),
        repairs={name: int(np.count_nonzero(mended)) for name, mended in repairs.items()},
    )


def _until_end(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return the ids before END and before 24 hours; of each the clock and the velocities so far; the last clock."""
    ends = (ids == END).nonzero()[0]
    ids = ids[: ends[0]] if ends.size else ids
    both = _MOVES.take(ids).cumsum()
    clock = both & _CLOCK_MASK
    ids = ids[: clock.searchsorted(LONGEST_PIECE)]
    return ids, clock, both >> _LEVELS_AT, int(clock[len(ids) - 1]) if len(ids) else 0
