"""Whether what came back of a piece is within stated bounds, note by note, for tests.

A note that comes back must be one that was there, or several that struck its key within one step: within the bound of
the onset, with the end and the velocity of the latest and loudest of them. Every note of a key that has ids must be
among them. Times are seconds or quarter notes, whichever the scheme keeps. Nothing of the tokenizers is used here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from etude.music.score import Score
from etude.music.sustain import SUSTAIN, sustained_end_tick

DRUMS = 128
EPS = 1e-6

Statement = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Bounds:
    """What one scheme states.

    Attributes:
        clock: "sec" or "quarter".
        onset: how far onsets may be off.
        ends: whether durations that come back are as stated, given (before, after, whether the key was struck again).
        velocity: whether velocities are, given (before, after, key).
        key: of each note, from its program, drums 128, and its pitch; negative if it is left out.
        pedal: notes that end so last until it comes up.
        from_first: the silence before the first note is dropped.
        end: how far ends may be off, of notes longer and shorter than two durations.
        strikes: a key struck again ends there, and strikes within a step are one; else every note stays.
        exchanges: of notes of one key, one of which lies within the other, ends may be exchanged.
    """

    clock: str
    onset: float
    ends: Statement
    velocity: Statement
    key: Callable[[np.ndarray, np.ndarray], np.ndarray]
    pedal: Literal["", "while down", "after it went down"] = ""
    from_first: bool = False
    end: tuple[float, float, float] = (np.inf, 0.0, np.inf)
    strikes: bool = True
    exchanges: bool = False


@dataclass(frozen=True)
class _Table:
    """Notes in order of key, then onset."""

    key: np.ndarray
    onset: np.ndarray
    end: np.ndarray
    velocity: np.ndarray


def violations(bounds: Bounds, before: Score, after: Score) -> list[str]:
    """Return what is not as stated, at most the first of each kind."""
    own, other = _table(bounds, before, bounds.pedal), _table(bounds, after, "")
    if bounds.from_first and len(own.onset):
        begin = own.onset.min()
        own = _Table(own.key, own.onset - begin, own.end - begin, own.velocity)
    if not bounds.strikes:
        return _one_by_one(bounds, own, other)
    reach = bounds.onset + EPS
    found = []
    low, high = _within(other, own, reach)
    if (low >= high).any():
        found.append(f"lost: {_said(own, np.argmax(low >= high))}")
    low, high = _within(own, other, reach)
    if (low >= high).any():
        found.append(f"added: {_said(other, np.argmax(low >= high))}")
        return found
    follows = np.append(own.key[1:] == own.key[:-1], False)
    struck = np.where(follows, np.append(own.onset[1:], np.inf), np.inf)
    last = np.maximum(high - 1, 0)
    end = np.minimum(own.end[low], struck[low])
    single = high - low == 1
    ok_end = single & _ends(bounds, end - own.onset[low], end, other, _cut(bounds, own.end[low], struck[low]))
    ok_velocity = single & bounds.velocity(own.velocity[low], other.velocity, other.key)
    for row in np.flatnonzero(~(ok_end & ok_velocity)).tolist():
        if not _some_group(bounds, own, other, row, range(int(low[row]), int(last[row]) + 1), struck):
            found.append(
                f"end or velocity: {_said(other, row)} of {[_said(own, i) for i in range(low[row], high[row])]}"
            )
            break
    return found


def _ends(bounds: Bounds, duration: np.ndarray, end: np.ndarray, other: _Table, cut: np.ndarray) -> np.ndarray:
    """Return which notes that came back are as long, and end when they should."""
    after = other.end - other.onset
    bound, least, most = bounds.end
    near = (np.abs(other.end - end) <= bound + EPS) | (after <= least + EPS) | (after >= most - EPS)
    return near & bounds.ends(duration, after, cut)


def _cut(bounds: Bounds, end: np.ndarray, struck: np.ndarray) -> np.ndarray:
    """Return which notes end because their key was struck again, maybe after both were rounded."""
    return struck < end + 2 * bounds.onset


def _some_group(bounds: Bounds, own: _Table, other: _Table, row: int, rows: range, struck: np.ndarray) -> bool:
    """Tell whether a note that came back is as stated of some strikes that were one after the other."""
    one = _Table(*(column[row : row + 1] for column in (other.key, other.onset, other.end, other.velocity)))
    for first in rows:
        for last in range(first, rows.stop):
            group = slice(first, last + 1)
            end = min(own.end[group].max(), struck[last])
            cut = _cut(bounds, own.end[group].max(keepdims=True), struck[last])
            loudest = own.velocity[group].max()
            if not bounds.velocity(np.array([loudest]), one.velocity, one.key)[0]:
                continue
            if any(_ends(bounds, np.array([end - begin]), np.array([end]), one, cut)[0] for begin in own.onset[group]):
                return True
    return False


def tempo_violations(kind: str, before: Score, after: Score) -> list[str]:
    """Return where the tempo is not within a 24th of a doubling of what it was, from 16 to 256 quarter notes a minute.

    Args:
        kind: `remi`, which tells tempos at bar lines, or `octuple`, which tells them with notes; others tell none.
        before: the piece.
        after: what came back.
    """
    if kind not in ("remi", "octuple"):
        return []
    place = after.tempos.tick / after.ppq
    if kind == "octuple" and len(after.notes):
        place = np.maximum(place, after.notes.onset_tick[0] / after.ppq)
    told = 6e7 / after.tempos.us_per_quarter
    tempos = np.clip(np.append(120.0, 6e7 / before.tempos.us_per_quarter), 16, 256)
    # any tempo that was in force within a step
    step = 1 / 12 if kind == "remi" else 1 / 16
    changes = before.tempos.tick / before.ppq
    low, high = (np.searchsorted(changes, place + off + EPS, side="right") for off in (-step, step))
    # before the first quarter there is nothing
    low = np.maximum(low, np.searchsorted(changes, 0.0, side="right"))
    for one, quarter, first, last in zip(told, place, low, high, strict=True):
        if np.abs(np.log2(one / tempos[first : last + 1])).min() > 1.01 / 24:
            return [f"tempo: {one:.2f} at {quarter:.3f}, before {tempos[first : last + 1]}"]
    return []


def _one_by_one(bounds: Bounds, own: _Table, other: _Table) -> list[str]:
    """Compare notes of each key in order of time, those that now begin together in the order of their lengths."""
    if own.key.tolist() != other.key.tolist():
        return [f"notes: {len(own.key)} became {len(other.key)}"]
    far = np.abs(own.onset - other.onset) > bounds.onset + EPS
    if far.any():
        return [f"onset: {_said(own, np.argmax(far))} became {_said(other, np.argmax(far))}"]
    order = np.lexsort((own.end - own.onset, other.onset, own.key))
    own = _Table(*(column[order] for column in (own.key, own.onset, own.end, own.velocity)))
    before, after = own.end - own.onset, other.end - other.onset
    wrong = np.flatnonzero(~bounds.ends(before, after, np.zeros(len(before), bool)))
    for row in wrong.tolist():
        if not (bounds.exchanges and _exchanged(bounds, own, other, row)):
            return [f"end: {_said(own, row)} became {_said(other, row)}"]
    loud, other_loud = (one.velocity[np.lexsort((one.velocity, other.onset, one.key))] for one in (own, other))
    wrong = ~bounds.velocity(loud, other_loud, own.key)
    return [f"velocity: {loud[np.argmax(wrong)]} became {other_loud[np.argmax(wrong)]}"] if wrong.any() else []


def _exchanged(bounds: Bounds, own: _Table, other: _Table, row: int) -> bool:
    """Tell whether all ends of one key are there, whichever of its notes they end: off by an onset and a length."""
    same = own.key == own.key[row]
    return bool((np.abs(np.sort(own.end[same]) - np.sort(other.end[same])) <= 3 * bounds.onset + EPS).all())


def _table(bounds: Bounds, score: Score, pedal: str) -> _Table:
    notes = score.notes
    kinds = np.array([DRUMS if track.is_drum else track.program for track in score.tracks] or [0], np.int64)
    key = bounds.key(kinds[notes.track], notes.pitch.astype(np.int64))
    end_tick = notes.onset_tick.astype(np.int64) + notes.duration_tick
    if pedal and len(notes):
        held = sustained_end_tick(score.controls, end_tick, notes.track if len(score.tracks) > 1 else None)
        if pedal == "after it went down":
            held = np.where(_at_a_down(score, end_tick), end_tick, held)
        end_tick = held
    if bounds.clock == "sec":
        onset, end = score.onset_sec, score.tempo_map.tick_to_sec(end_tick)
    else:
        onset, end = notes.onset_tick / score.ppq, end_tick / score.ppq
    kept = np.flatnonzero(key >= 0)
    kept = kept[np.lexsort((end[kept], onset[kept], key[kept]))]
    return _Table(key[kept], onset[kept], end[kept], notes.velocity[kept].astype(np.int64))


def _at_a_down(score: Score, end_tick: np.ndarray) -> np.ndarray:
    """Return which notes end at the tick at which the pedal of their track goes down."""
    found, controls = np.zeros(len(end_tick), bool), score.controls
    for track in range(len(score.tracks)) if len(score.tracks) > 1 else [None]:
        own = (controls.number == SUSTAIN) & ((track is None) | (controls.track == track))
        is_down = controls.value[own] >= SUSTAIN
        downs = controls.tick[own][is_down & ~np.append(False, is_down[:-1])[: len(is_down)]]
        found |= np.isin(end_tick, downs) & ((track is None) | (score.notes.track == track))
    return found


def _within(table: _Table, wanted: _Table, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return from which row of a table to which are the notes of the key and the time of each that is wanted."""
    width = 2.0 + max(table.onset.max(initial=0), wanted.onset.max(initial=0)) * 2
    place = table.key * width + table.onset
    wanted_place = wanted.key * width + wanted.onset
    # the reach grows by what a float of this size can tell
    reach += float(np.spacing(max(place.max(initial=0), 1.0))) * 4
    return np.searchsorted(place, wanted_place - reach), np.searchsorted(place, wanted_place + reach, side="right")


def _said(table: _Table, row: int) -> str:
    times = f"{table.onset[row]:.4f} to {table.end[row]:.4f}"
    return f"key {table.key[row] >> 7}/{table.key[row] & 127} {times} velocity {table.velocity[row]}"
