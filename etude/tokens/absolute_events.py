"""Notes on the grid to the ids of the absolute tokenizer, and ids to notes. No loop runs over notes.

An event is one whole number, so that one sort of plain numbers gives the order of the ids:

    step | code of the note (15 bits) | duration (9 bits)

N is the number of events, T of ids. Turns of the pedal come after the notes of their step.
"""

from typing import NamedTuple

import numpy as np

from etude.tokens.absolute_layout import (
    END,
    FIRST_DRUM,
    IS_DRUM,
    IS_DURATION,
    IS_NOTE,
    IS_PEDAL,
    IS_SEGMENT,
    IS_SILENT,
    IS_TIME,
    LEVELS,
    SEGMENT,
    SEGMENT_STEPS,
    Layout,
)
from etude.tokens.absolute_notes import LONGEST_PIECE, Heard

_CODE, _STEP = 9, 24
_CODE_MASK, _DURATION_MASK = (1 << 15) - 1, (1 << 9) - 1


class Told(NamedTuple):
    """What ids tell: notes in order of time, turns of the pedal as steps and whether down, and what was mended."""

    notes: Heard
    pedal_step: np.ndarray
    pedal_down: np.ndarray
    repairs: dict[str, int]


def sorted_events(notes: Heard, layout: Layout) -> np.ndarray:
    """Return the events of notes and of the pedal in the order of ids, int64 (N,)."""
    code = notes.voice * np.int32(LEVELS) + notes.level
    drum_voice = 128 * len(layout.instruments)
    if notes.voice.max(initial=0) >= drum_voice:
        code = np.where(notes.voice >= drum_voice, layout.drum_code + notes.voice - drum_voice - FIRST_DRUM, code)
    code <<= _CODE
    code |= notes.duration
    events = np.left_shift(notes.step, _STEP, dtype=np.int64)
    events |= code
    if notes.turns.size:
        turns = notes.turns.astype(np.int64)
        place = np.arange(turns.size)
        # several turns of one step keep their order; every other one is an up
        rank = place - turns.searchsorted(turns)
        code = layout.pedal - layout.note
        events = np.concatenate([events, turns << _STEP | code << _CODE | np.minimum(rank, 255) << 1 | place & 1])
    events.sort()
    return events


def unpacked(events: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of each event the step, the id that it begins with, and the id of its duration, all int32 (N,).

    A drum or pedal has no duration; its number there means nothing.
    """
    bits = events.astype(np.int32)  # keeps all but the high bits of the step
    step = (events >> _STEP).astype(np.int32)
    first = (bits >> _CODE) & _CODE_MASK
    first += layout.note
    bits &= _DURATION_MASK
    if layout.has_pedal:
        first += (first == layout.pedal) & bits
    bits += layout.duration
    return step, first, bits


def ids_of_events(events: np.ndarray, prefix: list[int], layout: Layout) -> np.ndarray:
    """Write sorted events as ids: SEGMENT where one begins, the note, its onset, its duration; int32 (T,)."""
    step, first, duration = unpacked(events, layout)
    segment = step // np.int32(SEGMENT_STEPS)
    step -= segment * np.int32(SEGMENT_STEPS)
    step += layout.time
    is_long = first < layout.note + layout.drum_code
    if is_long.all():
        place = np.arange(len(prefix), len(prefix) + 3 * len(events), 3)
        size, is_long = len(prefix) + 3 * len(events), slice(None)
    else:
        widths = 2 + is_long
        place = np.cumsum(widths) - widths + len(prefix)
        size = len(prefix) + int(widths.sum())
    place += segment
    ids = np.full(size + int(segment[-1]), SEGMENT, np.int32)
    ids[: len(prefix)] = prefix
    ids[place] = first
    ids[place + 1] = step
    ids[place[is_long] + 2] = duration[is_long]
    return ids


def events_of_ids(ids: np.ndarray, layout: Layout) -> Told:
    """Read any ids of the vocabulary, int64 (T,)."""
    ids = until_end(ids, layout)
    kind = np.append(layout.kinds[ids], np.zeros(2, np.uint8))
    first, second, third = kind[:-2], kind[1:-1], kind[2:]
    has_onset = second == IS_TIME
    is_note = (first == IS_NOTE) & has_onset & (third == IS_DURATION)
    is_short = ((first == IS_DRUM) | (first == IS_PEDAL)) & has_onset
    at = np.flatnonzero(is_note | is_short)
    segments = np.flatnonzero(first == IS_SEGMENT)
    step = SEGMENT_STEPS * segments.searchsorted(at) + ids[np.minimum(at + 1, len(ids) - 1)] - layout.time
    backwards = int(np.count_nonzero(step[1:] < step[:-1]))
    in_time = step < LONGEST_PIECE
    at, step = at[in_time], step[in_time]
    last = ids[np.minimum(at + 2, len(ids) - 1)] - layout.duration
    used = 3 * int(np.count_nonzero(is_note)) + 2 * int(np.count_nonzero(is_short))
    stray = int(np.count_nonzero((first >= IS_NOTE) & (first <= IS_DURATION))) - used
    return told_events(ids[at], step, last, layout, {"stray": stray, "backwards": backwards})


def told_events(
    first: np.ndarray, step: np.ndarray, duration: np.ndarray, layout: Layout, repairs: dict[str, int]
) -> Told:
    """Return what events tell, given the ids they begin with, in the order of the ids.

    Args:
        first: ids of notes, drums and pedals, (N,).
        step: when they are, (N,).
        duration: of those that are notes, in steps, (N,).
        layout: of the ids.
        repairs: counts so far.
    """
    order = step.argsort(kind="stable")
    code, step, duration = first[order] - layout.note, step[order], duration[order]
    is_pedal = code >= layout.pedal - layout.note
    pedal_step, pedal_down = step[is_pedal], code[is_pedal] == layout.pedal - layout.note
    if is_pedal.any():
        code, step, duration = code[~is_pedal], step[~is_pedal], duration[~is_pedal]
    voice = code // LEVELS
    level = code - LEVELS * voice
    is_drum = code >= layout.drum_code
    if is_drum.any():
        key = code - layout.drum_code + FIRST_DRUM
        voice = np.where(is_drum, 128 * len(layout.instruments) + key, voice)
        level, duration = np.where(is_drum, 0, level), np.where(is_drum, 1, duration)
    repairs["without_velocity"] = int(np.count_nonzero((level == 0) & ~is_drum))
    repairs["without_length"] = int(np.count_nonzero(duration == 0))
    level = np.where(is_drum, 0, np.maximum(level, 1))
    return Told(Heard(step, voice, level, np.maximum(duration, 1)), pedal_step, pedal_down, repairs)


def until_end(ids: np.ndarray, layout: Layout) -> np.ndarray:
    """Return the ids before END without those that say nothing."""
    ends = np.flatnonzero(ids == END)
    ids = ids[: ends[0]] if ends.size else ids
    silent = layout.kinds[ids] == IS_SILENT
    return ids[~silent] if silent.any() else ids
