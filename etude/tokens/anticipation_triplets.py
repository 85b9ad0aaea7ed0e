"""The column work of the anticipation tokenizer: notes to triplets to ids, and ids to notes.

Times are steps of 10 ms. N is the number of notes, T of ids, E of items: events, rests and controls, three ids each.
No loop runs over notes: while they are sorted, a note is one whole number,

    step (24 bits) | instrument and pitch (15) | duration (10) | whether it is a control (1)
"""

from typing import NamedTuple

import numpy as np

from etude.tokens.anticipation_layout import (
    ADURATION,
    ANOTE,
    ANTICIPATE,
    ATIME,
    AUTOREGRESS,
    CONTROL,
    DURATION,
    END,
    LONGEST_PIECE,
    NOTE,
    NUM_DURATIONS,
    NUM_NOTES,
    REST,
    STEPS_AHEAD,
    STEPS_IN_WINDOW,
    STEPS_TO_REST,
    TIME,
)
from etude.tokens.key_strikes import Strikes


class Told(NamedTuple):
    """The notes that ids tell, in order of onset and key, in steps, and what had to be mended."""

    onset: np.ndarray
    duration: np.ndarray
    key: np.ndarray
    is_control: np.ndarray
    repairs: dict[str, int]


def ids_of_strikes(strikes: Strikes) -> np.ndarray:
    """Return the ids of notes, int32 (T,).

    Args:
        strikes: in steps; the value of a control is 1, that of other notes 0. At least one note.
    """
    duration = np.minimum(strikes.end - strikes.onset, NUM_DURATIONS - 1)
    packed = strikes.onset << 26
    packed |= (strikes.key.astype(np.int32) << 11) | (duration << 1) | strikes.value
    packed.sort()
    low = packed.astype(np.int32)  # which keeps all but the high bits of the step
    note, duration = (low >> 11) & 0x7FFF, (low >> 1) & 0x3FF
    step = (packed >> 26).astype(np.int32)
    is_control = (low & 1).astype(bool)
    if not is_control.any():
        return _ids_of_items(*_with_rests(step, duration, note, int(step[-1])), AUTOREGRESS)
    event = ~is_control
    events = _with_rests(step[event], duration[event], note[event], int(step[-1]))
    controls = step[is_control], duration[is_control] + CONTROL, note[is_control] + CONTROL
    # controls of a later window wait for it
    place = np.where(controls[0] > STEPS_AHEAD, events[0].searchsorted(controls[0] - STEPS_AHEAD) + 1, 0)
    keys = [(events[0] // STEPS_IN_WINDOW).astype(np.int64) << 32 | (2 * np.arange(len(events[0])) + 1)]
    keys.append((controls[0] // STEPS_IN_WINDOW).astype(np.int64) << 32 | 2 * place)
    order = np.argsort(np.concatenate(keys), kind="stable")
    items = (np.concatenate(columns)[order] for columns in zip(events, controls, strict=True))
    return _ids_of_items(*items, ANTICIPATE)


def _with_rests(
    step: np.ndarray, duration: np.ndarray, note: np.ndarray, last_step: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return events with a REST after every second without one, up to the last event or control."""
    gap = np.diff(step, prepend=np.int32(0), append=np.int32(last_step))
    rests = (np.maximum(gap, 1) - 1) // STEPS_TO_REST
    if not rests.any():
        return step, duration, note
    place = np.arange(len(step)) + np.cumsum(rests[:-1])
    # a rest is a step of one second after what comes before it
    with_rests = np.full(len(step) + int(rests.sum()), STEPS_TO_REST, np.int32)
    with_rests[place] = gap[:-1] - rests[:-1] * STEPS_TO_REST
    columns = [np.cumsum(with_rests, dtype=np.int32)]
    for values, of_rest in ((duration, 0), (note, REST - NOTE)):
        columns.append(np.full(len(with_rests), of_rest, np.int32))
        columns[-1][place] = values
    return tuple(columns)


def _ids_of_items(step: np.ndarray, duration: np.ndarray, note: np.ndarray, flag: int) -> np.ndarray:
    """Write items as triplets, with a flag before each window; controls come with ids of controls."""
    window = step // np.int32(STEPS_IN_WINDOW)
    place = 3 * np.arange(len(step)) + window + 1
    # what is not written below is flags
    ids = np.full(3 * len(step) + int(window[-1]) + 1, flag, np.int32)
    is_control = duration >= CONTROL
    ids[place] = step - window * np.int32(STEPS_IN_WINDOW) + TIME + is_control * np.int32(CONTROL)
    ids[place + 1] = duration + DURATION
    ids[place + 2] = note + NOTE
    return ids


def notes_of_ids(ids: np.ndarray) -> Told:
    """Read any ids of the vocabulary as notes.

    Args:
        ids: whole numbers of the vocabulary, int64 (T,).
    """
    ids = _until_end(ids)
    at, is_control = _triplets(ids)
    is_flag = (ids == AUTOREGRESS) | (ids == ANTICIPATE)
    shift = np.where(is_control, CONTROL, 0)
    window = np.maximum(np.cumsum(is_flag)[at] - 1, 0)
    onset = ids[at] - shift - TIME + window * STEPS_IN_WINDOW
    duration, key = ids[at + 1] - shift - DURATION, ids[at + 2] - shift - NOTE
    kept = (key < NUM_NOTES) & (onset < LONGEST_PIECE)
    events = ~is_control
    repairs = {
        "stray": len(ids) - 3 * len(at) - int(np.count_nonzero(is_flag)),
        "backward": _falls(onset[events]) + _falls(onset[is_control]),
        "too_late": int(np.count_nonzero(onset >= LONGEST_PIECE)),
    }
    onset, duration, key, is_control = onset[kept], duration[kept], key[kept], is_control[kept]
    order = np.argsort(onset << 16 | key, kind="stable")
    return Told(onset[order], duration[order], key[order], is_control[order], repairs)


def _until_end(ids: np.ndarray) -> np.ndarray:
    """Return the ids before the END that follows a triplet; one before all triplets begins a piece."""
    ends = np.flatnonzero(ids == END)
    if not ends.size:
        return ids
    begun = np.flatnonzero(ids < END)
    ends = ends[ends > begun[0]] if begun.size else ends[:0]
    return ids[: ends[0]] if ends.size else ids


def _triplets(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where three ids tell an event, a rest or a control, and whether it is a control."""
    time, duration, note = ids[:-2], ids[1:-1], ids[2:]
    is_event = (time < DURATION) & (duration >= DURATION) & (duration < NOTE) & (note >= NOTE) & (note < CONTROL)
    is_control = (time >= ATIME) & (time < ADURATION) & (duration >= ADURATION) & (duration < ANOTE)
    is_control &= (note >= ANOTE) & (note < END)
    at = np.flatnonzero(is_event | is_control)
    return at, is_control[at]


def _falls(onset: np.ndarray) -> int:
    return int(np.count_nonzero(onset[1:] < onset[:-1]))
