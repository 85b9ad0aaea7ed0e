"""From a score to notes on the grid of 10 ms, for the absolute and the relative tokenizer. No loop runs over notes.

Times are steps of 10 ms, N is the number of notes. A voice is a key of an instrument, see ``absolute_layout``.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from etude.errors import TokenError
from etude.music.score import Notes, Score
from etude.music.sustain import SUSTAIN
from etude.tokens.absolute_layout import (
    FIRST_DRUM,
    LAST_DRUM,
    LEVELS,
    LONGEST,
    SEGMENT_STEPS,
    STEPS_PER_SEC,
    Layout,
)
from etude.tokens.absolute_pedal import extended_end_tick, held_end, pedal_turns
from etude.tokens.absolute_settings import AbsoluteSettings, RelativeSettings

LONGEST_PIECE = 24 * 60 * 60 * STEPS_PER_SEC
"""Steps in 24 hours; with a duration they fit into the 24 bits of a step."""

STEP_MASK = (1 << 24) - 1
_NO_TURNS = np.empty(0, np.int64)


class Heard(NamedTuple):
    """Notes on the grid, and the turns of the pedal where it has ids."""

    step: np.ndarray
    voice: np.ndarray
    level: np.ndarray
    duration: np.ndarray
    turns: np.ndarray = _NO_TURNS


def heard(score: Score, settings: AbsoluteSettings | RelativeSettings, layout: Layout) -> Heard | None:
    """Return the notes of a score in order of time; None if there are none.

    Raises:
        TokenError: a pitch, velocity or time outside MIDI, or a piece longer than 24 hours.
    """
    notes, instrument = _kept_notes(score, layout)
    if not len(notes):
        return None
    _refuse_outside_midi(notes)
    is_published = isinstance(settings, AbsoluteSettings) and settings.published
    count = len(notes)
    has_piano = isinstance(instrument, int) or not instrument.all()
    turn_tick = _pooled_turns(score, layout) if layout.has_pedal and has_piano else _NO_TURNS
    end_tick = np.add(notes.onset_tick, notes.duration_tick, dtype=np.int64)
    if settings.pedal == "extend" or (settings.pedal == "both" and is_published):
        # as published, a pedal that does not come up ends with the note that begins last
        last_tick = int(end_tick[-1]) if is_published else None
        track = notes.track if len(score.tracks) > 1 else None
        end_tick = extended_end_tick(score.controls, end_tick, track, last_tick)
    sec = score.tempo_map.tick_to_sec(np.concatenate([notes.onset_tick, end_tick, turn_tick]))
    onset, length, turn = sec[:count], sec[count : 2 * count] - sec[:count], sec[2 * count :]
    if settings.silence == "drop":
        begin = min(onset[0], turn[0]) if turn.size else onset[0]
        onset, turn = onset - begin, turn - begin
    _refuse_days(max(onset[-1], turn[-1] if turn.size else 0.0))
    step, duration, turns, levels = (_published if is_published else _nearest)(onset, length, turn)
    if settings.pedal == "both" and not is_published:
        # on the grid, so that what was decoded is held alike
        end = step + duration
        last = int(max(end.max(), turns.max(initial=0)))
        duration = np.minimum(held_end(end, turns, last) - step, LONGEST)
    voice = notes.pitch if isinstance(instrument, int) and not instrument else notes.pitch + 128 * instrument
    return Heard(step, voice, levels[notes.velocity], duration, turns)


def struck(told: Heard) -> Heard:
    """Let a note end where its key is struck again; of notes struck at one step the loudest and longest stays.

    Args:
        told: notes in order of time.

    Returns:
        The notes in order of voice, then of time.
    """
    top = int(told.voice.max(initial=0))
    # numpy sorts bytes by radix, and notes of one voice stay in order of time
    order = told.voice.astype(np.uint8 if top < 256 else np.uint16).argsort(kind="stable")
    voice = told.voice[order]
    # 7 bits of voice and 24 of time fit into 32
    wide = np.int32 if top < 128 else np.int64
    strike = np.left_shift(voice, 24, dtype=wide) | told.step[order].astype(wide, copy=False)
    end, level = strike + told.duration[order].astype(wide, copy=False), told.level[order]
    again = strike[1:] == strike[:-1]
    if again.any():
        first = np.concatenate([[0], np.flatnonzero(~again) + 1])
        voice, strike = voice[first], strike[first]
        end, level = np.maximum.reduceat(end, first), np.maximum.reduceat(level, first)
    # a strike of a higher voice exceeds every end of a lower one, so only the same voice cuts a note
    np.minimum(end[:-1], strike[1:], out=end[:-1])
    end -= strike
    return Heard(strike & STEP_MASK, voice, level, end, told.turns)


def _kept_notes(score: Score, layout: Layout) -> tuple[Notes, np.ndarray | int]:
    """Return the notes that have ids, and the instrument of each."""
    notes = score.notes
    of_track = [_instrument_of(track.program, track.is_drum, layout) for track in score.tracks]
    if len(set(of_track)) == 1 and 0 <= of_track[0] < len(layout.instruments):
        return notes, of_track[0]
    instrument = np.array([*of_track, -1], np.int32)[notes.track]
    is_drum = instrument == len(layout.instruments)
    kept = (instrument >= 0) & (~is_drum | (notes.pitch >= FIRST_DRUM) & (notes.pitch <= LAST_DRUM))
    if not kept.all():
        notes, instrument = notes.take(kept), instrument[kept]
    return notes, instrument


def _instrument_of(program: int, is_drum: bool, layout: Layout) -> int:
    """Return the instrument of a track, -1 if it has no ids."""
    if is_drum:
        return len(layout.instruments) if layout.has_drums else -1
    return families(layout.instruments)[program // 8] if 0 <= program < 128 else -1


@cache
def families(instruments: tuple[str, ...]) -> tuple[int, ...]:
    """Return the place in ``instruments`` of each family of eight programs, -1 for those not in it."""
    from etude.music.families import FAMILIES

    return tuple(instruments.index(name) if name in instruments else -1 for name in FAMILIES[:16])


def _pooled_turns(score: Score, layout: Layout) -> np.ndarray:
    """Return the turns, in ticks, of the pedals of all pianos as if they were one."""
    controls = score.controls
    is_piano = np.array([_instrument_of(track.program, track.is_drum, layout) == 0 for track in score.tracks] or [True])
    rows = ((controls.number == SUSTAIN) & is_piano[controls.track]).nonzero()[0]
    return pedal_turns(controls.tick[rows], controls.value[rows])


def _nearest(onset: np.ndarray, length: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return steps, durations, turns and the level of each velocity: each the nearest, of two the higher."""
    length = np.minimum(length, LONGEST / STEPS_PER_SEC)
    step, duration, turns = ((sec * STEPS_PER_SEC + 0.5).astype(np.int32) for sec in (onset, length, turn))
    return step, np.maximum(duration, 1), turns, _nearest_levels()


@cache
def _nearest_levels() -> np.ndarray:
    return ((np.arange(128, dtype=np.int32) + 5) // 10).clip(1, LEVELS - 1)


def _published(onset: np.ndarray, length: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the same as the published encoder has it: through whole milliseconds, segments never left."""
    in_segment, durations, levels = _published_tables()
    steps = []
    for sec in (onset, turn):
        ms = np.rint(sec * 1000).astype(np.int64)
        steps.append((ms // 5000 * SEGMENT_STEPS + in_segment[ms % 5000]).astype(np.int32))
    duration = durations[np.rint(length * 1000).astype(np.int64).clip(0, 10 * LONGEST)]
    return steps[0], duration, steps[1], levels


@cache
def _published_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the step of each millisecond of a segment, that of each duration, and the level of each velocity."""
    onset = _searched(np.arange(5000), SEGMENT_STEPS)
    duration = _searched(np.arange(5001), LONGEST + 1)
    return onset, duration.clip(1), _searched(np.arange(128), LEVELS).clip(1)


def _searched(values: np.ndarray, count: int) -> np.ndarray:
    """Return which of ``10 * arange(count)`` a binary search meets that keeps the first of two equally near."""
    left, right = np.zeros(len(values), np.int32), np.full(len(values), count - 1, np.int32)
    best = np.zeros(len(values), np.int32)
    for _ in range(count.bit_length() + 1):
        going = left <= right
        middle = (left + right) // 2
        nearer = going & (np.abs(10 * middle - values) < np.abs(10 * best - values))
        best = np.where(nearer, middle, best)
        below = 10 * middle < values
        left, right = np.where(going & below, middle + 1, left), np.where(going & ~below, middle - 1, right)
    return best


def _refuse_outside_midi(notes: Notes) -> None:
    bits = int(np.bitwise_or.reduce(notes.pitch | notes.velocity))
    if not 0 <= bits < 128 or notes.onset_tick[0] < 0:
        raise TokenError("score: a pitch, velocity or time outside MIDI; etude.music.check.check_score names it")


def _refuse_days(last_sec: float) -> None:
    if last_sec * STEPS_PER_SEC >= LONGEST_PIECE - 0.5:
        hours = last_sec / 3600
        raise TokenError(f"score: {hours:.1f} hours long, expected at most 24; cut it with etude.music.edit.trim")
