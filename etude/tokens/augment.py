"""Variations of ids without their Score, for the absolute and the relative tokenizer.

Order: tempo and the order of chords, then pitch, then velocity. A row may hold several pieces, each ended by END:
each is varied by itself, so what was apart stays apart. Marks (NEAR_END, DELIMITER) stay behind the event that they
followed. A change of tempo drops ids at the edges of a row that are no whole event, and notes that are UNKNOWN.
N is the number of events of a piece, T of ids; steps are 10 ms.

Source:
    aria-utils, ``AbsTokenizer`` and ``RelTokenizer``, ``export_data_aug``. Ours draw by (seed, index), keep turns of
    the pedal in order, and vary the pieces of a row one by one in the relative scheme too.
"""

from typing import Any, NamedTuple

import numpy as np

from etude.music.augment import AugmentSettings, drawn_factor, drawn_velocity_step
from etude.randomness import Index, below, permutation
from etude.tokens.absolute_layout import (
    END,
    IS_DRUM,
    IS_DURATION,
    IS_NOTE,
    IS_PEDAL,
    IS_SEGMENT,
    IS_SILENT,
    IS_TIME,
    LEVELS,
    LONGEST,
    PAD,
    SEGMENT,
    SEGMENT_STEPS,
    START,
    UNKNOWN,
    Layout,
)


class Events(NamedTuple):
    """A piece in ids, taken apart.

    Attributes:
        prefix: ids up to START.
        step: when each event is, (N,).
        first: the id it begins with, (N,).
        duration: in steps, 0 for drums and the pedal, (N,).
        marks: ids of marks, (M,).
        after: how many events stand before each mark, (M,).
        end: END, or nothing.
    """

    prefix: np.ndarray
    step: np.ndarray
    first: np.ndarray
    duration: np.ndarray
    marks: np.ndarray
    after: np.ndarray
    end: np.ndarray


def can_augment_ids(tokenizer: Any) -> bool:
    """Return whether this module knows the ids of a tokenizer."""
    return isinstance(getattr(tokenizer, "layout", None), Layout)


def augment_ids(
    tokenizer: Any, ids: np.ndarray, settings: AugmentSettings, *, seed: int, index: tuple[Index, ...] = ()
) -> np.ndarray:
    """Return ids varied as the settings ask; their number changes with the tempo.

    A pitch that leaves 0 to 127 becomes UNKNOWN, drums stay; velocities stay within 10 to 120.

    Args:
        tokenizer: an absolute or relative one.
        ids: of one piece or several, (T,), a part of one at either edge.
        settings: how far; ``drop_tracks`` and ``drop_conditions`` mean nothing here.
        seed: of the experiment.
        index: what the variation depends on; the number of the piece in the row is added to it.

    Example:
        >>> from etude.tokens import build_tokenizer
        >>> settings = AugmentSettings(transpose_semitones=5, velocity_steps=1)
        >>> augment_ids(build_tokenizer("absolute"), np.array([6, 0, 827, 17227, 16776]), settings, seed=1)
        array([    6,     0,   774, 17227, 16776])
    """
    layout, done, ids = tokenizer.layout, [], np.asarray(ids)
    for number, piece in enumerate(np.split(ids, np.flatnonzero(ids == END) + 1)):
        own = (*index, number)
        factor = drawn_factor(settings.tempo_percent, seed=seed, index=own) if settings.tempo_percent else 1.0
        if factor != 1.0 or settings.mix_chords:
            piece = rewritten(piece, layout, factor, seed=seed if settings.mix_chords else None, index=own)
        if settings.transpose_semitones:
            most = settings.transpose_semitones
            piece = moved_pitches(piece, layout, below(2 * most + 1, seed, "transpose", *own) - most)
        if settings.velocity_steps:
            step = drawn_velocity_step(settings.velocity_steps, seed=seed, index=own)
            piece = moved_velocities(piece, layout, step)
        done.append(piece)
    return np.concatenate(done).astype(ids.dtype)


def augment_packed(
    tokenizer: Any, ids: np.ndarray, settings: AugmentSettings, *, seed: int, index: tuple[Index, ...] = ()
) -> np.ndarray:
    """Return as many ids as were given: ``augment_ids``, cut at the end or filled up with PAD."""
    varied = augment_ids(tokenizer, ids, settings, seed=seed, index=index)[: len(ids)]
    return np.pad(varied, (0, len(ids) - len(varied)), constant_values=PAD)


def mix_chords(tokenizer: Any, ids: np.ndarray, *, seed: int, index: tuple[Index, ...] = ()) -> np.ndarray:
    """Return ids in which the notes that begin at one step stand in any order."""
    return augment_ids(tokenizer, ids, AugmentSettings(mix_chords=True), seed=seed, index=index)


def moved_pitches(ids: np.ndarray, layout: Layout, semitones: int) -> np.ndarray:
    """Return ids with every note moved by semitones, or UNKNOWN where it cannot be; drums stay."""
    # wide, for ids from shards may be of a kind that holds no negative numbers
    code = ids.astype(np.int64) - layout.note
    is_note = (code >= 0) & (code < layout.drum_code)
    pitch = code // LEVELS % 128 + semitones
    moved = np.where((pitch >= 0) & (pitch < 128), layout.note + code + LEVELS * semitones, UNKNOWN)
    return np.where(is_note, moved, ids).astype(ids.dtype)


def moved_velocities(ids: np.ndarray, layout: Layout, levels: int) -> np.ndarray:
    """Return ids with the velocity of every note moved by levels of 10, within 10 to 120; drums have none."""
    code = ids.astype(np.int64) - layout.note
    is_note = (code >= 0) & (code < layout.drum_code)
    level = code % LEVELS
    return np.where(is_note, ids - level + np.clip(level + levels, 1, LEVELS - 1), ids).astype(ids.dtype)


def rewritten(
    ids: np.ndarray, layout: Layout, factor: float, *, seed: int | None = None, index: tuple[Index, ...] = ()
) -> np.ndarray:
    """Return the ids of one piece with time multiplied, and the notes of chords in any order if there is a seed."""
    events = events_in_order(ids, layout)
    if not len(events.step):
        return ids
    step = np.floor(events.step * factor + 0.5).astype(np.int64)
    duration = np.where(events.duration > 0, np.clip(np.floor(events.duration * factor + 0.5), 1, LONGEST), 0).astype(
        np.int64
    )
    if seed is None:
        order = np.argsort(events.step, kind="stable")
    else:
        # turns of the pedal stay behind the notes of their step, in their order
        is_pedal = layout.kinds[events.first] == IS_PEDAL
        rank = np.where(is_pedal, np.arange(len(step)), permutation(len(step), seed, "mix_chords", *index))
        order = np.lexsort((rank, is_pedal, events.step))
    varied = events._replace(step=step[order], first=events.first[order], duration=duration[order])
    return ids_of(varied, layout).astype(ids.dtype)


def events_in_order(ids: np.ndarray, layout: Layout) -> Events:
    """Take the ids of one piece, or of a part of one, apart; what is no whole event is left out."""
    ids = np.asarray(ids, np.int64)
    starts = np.flatnonzero(ids == START)
    begin = int(starts[0]) + 1 if starts.size else 0
    body, end = ids[begin:], ids[ids == END][:1]
    body = body[(body != END) & (body != PAD)]
    is_mark = layout.kinds[body] == IS_SILENT
    marks, before = body[is_mark], np.cumsum(~is_mark)[is_mark]
    body = body[~is_mark]
    kind = np.append(layout.kinds[body], np.zeros(2, np.uint8))
    first, second, third = kind[:-2], kind[1:-1], kind[2:]
    if layout.has_segments:
        is_note = (first == IS_NOTE) & (second == IS_TIME) & (third == IS_DURATION)
        at = np.flatnonzero(is_note | ((first == IS_DRUM) | (first == IS_PEDAL)) & (second == IS_TIME))
        step = SEGMENT_STEPS * np.cumsum(first == IS_SEGMENT)[at] + body[at + 1] - layout.time
    else:
        is_note = (first == IS_NOTE) & (second == IS_DURATION)
        at = np.flatnonzero(is_note | (first == IS_DRUM))
        step = np.cumsum(np.where(first == IS_TIME, body - layout.time, 0))[at]
    last = np.minimum(at + 1 + layout.has_segments, len(body) - 1)
    duration = np.where(is_note[at], body[last] - layout.duration, 0)
    return Events(ids[:begin], step, body[at], duration, marks, np.searchsorted(at, before), end)


def ids_of(events: Events, layout: Layout) -> np.ndarray:
    """Write events, in their order, as ids of one piece."""
    is_long = events.duration > 0
    if layout.has_segments:
        before = np.diff(events.step // SEGMENT_STEPS, prepend=0)
    else:
        wait = np.diff(events.step, prepend=0)
        before = -(-wait // LONGEST)
    marks_after = np.bincount(events.after, minlength=len(is_long) + 1)
    width = 1 + layout.has_segments + is_long
    stop = int(marks_after[0]) + np.cumsum(before + width + marks_after[1:])
    begin = stop - marks_after[1:] - width
    # what is not written further down are segments, or the longest waits
    size = len(events.marks) + int((before + width).sum())
    ids = np.full(size, SEGMENT if layout.has_segments else layout.time + LONGEST, np.int64)
    ids[begin] = events.first
    if layout.has_segments:
        ids[begin + 1] = layout.time + events.step % SEGMENT_STEPS
    else:
        waits = before > 0
        ids[begin[waits] - 1] = layout.time + wait[waits] - (before[waits] - 1) * LONGEST
    ids[(begin + width - 1)[is_long]] = layout.duration + events.duration[is_long]
    # the marks of one place stand side by side
    place = np.append(0, begin + width)[events.after]
    place += np.arange(len(place)) - np.searchsorted(events.after, events.after)
    ids[place] = events.marks
    return np.concatenate([events.prefix, ids, events.end])
