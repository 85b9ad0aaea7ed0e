"""What of a piece's other tables comes back: tempo, metre, keys, pedal, controls, bends, texts, tracks, programs.

A row counts where it changes something: a metre that is told again in every bar is one. It comes back if a row of
the same content is there within the tolerance of ``loss_matching``. Controls are counted without the sustain
pedal; that is counted by how often it goes down.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from etude.music.score import Score
from etude.music.sustain import SUSTAIN
from etude.tokens.loss_matching import Clock, kind_of_notes, paired

SAME_TEMPO = 0.05
"""Tempos this share apart, and no more, count as kept."""


class Kept(NamedTuple):
    """How many there were, how many of them came back, how many came back in all."""

    before: int
    kept: int
    after: int


def kept_rows(clock: Clock) -> dict[str, Kept]:
    """Return what came back of each table, by name."""
    before, after = _rows(clock.before, clock.before.tempo_map.tick_to_sec), _rows(clock.after, clock.sec)
    return {
        "tempos": _kept_tempos(clock),
        **{name: _kept(*before[name], *after[name]) for name in before},
        "texts": _kept_texts(clock),
        "tracks": _kept_tracks(clock),
        "programs": _kept_programs(clock),
    }


def tempo_error(clock: Clock) -> float:
    """Return how far tempos are off: a mean over the time of the piece, as a share of what they should be."""
    end = clock.before.duration_sec
    own, other = clock.before.tempo_map, clock.after.tempo_map
    after_sec = clock.sec(other.tick)
    begins = np.unique(np.concatenate([[0.0], own.sec, after_sec]))
    begins = begins[(begins >= 0) & (begins < end)]
    if not len(begins):
        return 0.0
    lengths = np.diff(begins, append=end)
    middle = begins + lengths / 2
    told = _quarter_sec(clock.after)[_at(after_sec, middle)]
    # in quarters a minute: half as fast is half off, twice as fast as much again
    error = np.abs(_quarter_sec(clock.before)[_at(own.sec, middle)] / told - 1)
    return float((error * lengths).sum() / end)


def presses(score: Score) -> np.ndarray:
    """Return the ticks at which a sustain pedal goes down, of all tracks."""
    rows = np.flatnonzero(score.controls.number == SUSTAIN)
    rows = rows[np.argsort(score.controls.track[rows], kind="stable")]
    down, track = score.controls.value[rows] >= SUSTAIN, score.controls.track[rows]
    goes_down = down.copy()
    goes_down[1:] &= ~down[:-1] | (track[1:] != track[:-1])
    return np.sort(score.controls.tick[rows[goes_down]])


def _rows(score: Score, sec_of: Callable[[np.ndarray], np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what rows hold, as one number, and when they begin to."""
    metres, keys, controls, bends = score.time_signatures, score.key_signatures, score.controls, score.pitch_bends
    metre = metres.numerator.astype(np.int64) << 8 | np.minimum(metres.denominator, 255)
    other = np.flatnonzero(controls.number != SUSTAIN)
    pressed = presses(score)
    return {
        "metres": _changes(metre, sec_of(metres.tick)),
        "keys": _changes((keys.sharps.astype(np.int64) + 7) * 2 + keys.is_minor, sec_of(keys.tick)),
        "pedal": (np.zeros(len(pressed), np.int64), sec_of(pressed)),
        "controls": (
            controls.number[other].astype(np.int64) << 7 | controls.value[other],
            sec_of(controls.tick[other]),
        ),
        "bends": (bends.value.astype(np.int64) + 8192, sec_of(bends.tick)),
    }


def _changes(values: np.ndarray, sec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out rows that another of the same time replaces, and rows that change nothing."""
    if len(sec) < 2:
        return values, sec
    last = np.append(sec[1:] != sec[:-1], True)
    values, sec = values[last], sec[last]
    new = np.append(True, values[1:] != values[:-1])
    return values[new], sec[new]


def _kept(values: np.ndarray, sec: np.ndarray, after_values: np.ndarray, after_sec: np.ndarray) -> Kept:
    return Kept(len(values), len(paired(values, sec, after_values, after_sec)[0]), len(after_values))


def _kept_tempos(clock: Clock) -> Kept:
    before, after = clock.before.tempos, clock.after.tempos
    value, sec = _changes(before.us_per_quarter, clock.before.tempo_map.tick_to_sec(before.tick))
    after_value, after_sec = _changes(after.us_per_quarter, clock.sec(after.tick))
    rows, matched = paired(np.zeros(len(value), int), sec, np.zeros(len(after_value), int), after_sec)
    same = np.abs(after_value[matched] / value[rows] - 1) <= SAME_TEMPO
    return Kept(len(value), int(same.sum()), len(after_value))


def _kept_texts(clock: Clock) -> Kept:
    before, after = clock.before.texts, clock.after.texts
    if not len(before):
        return Kept(0, 0, len(after))
    numbers: dict[tuple[str, str], int] = {}
    keys = [
        np.array([numbers.setdefault(text, len(numbers)) for text in zip(table.kind, table.text, strict=True)], int)
        for table in (before, after)
    ]
    return _kept(keys[0], clock.before.tempo_map.tick_to_sec(before.tick), keys[1], clock.sec(after.tick))


def _kept_tracks(clock: Clock) -> Kept:
    before, after = (len(np.unique(score.notes.track)) for score in (clock.before, clock.after))
    return Kept(before, min(before, after), after)


def _kept_programs(clock: Clock) -> Kept:
    before, after = (np.unique(kind_of_notes(score)) for score in (clock.before, clock.after))
    return Kept(len(before), int(np.isin(before, after).sum()), len(after))


def _at(begins: np.ndarray, sec: np.ndarray) -> np.ndarray:
    return np.maximum(np.searchsorted(begins, sec, side="right") - 1, 0)


def _quarter_sec(score: Score) -> np.ndarray:
    """Return how long a quarter lasts in each part of the tempo map."""
    tempo_map = score.tempo_map
    # no part is shorter than a tick
    return (tempo_map.tick_to_sec(tempo_map.tick + 0.5) - tempo_map.sec) * (2 * score.ppq)
