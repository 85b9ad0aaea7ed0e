"""Which notes of a decoded piece are which of the piece that was encoded, without asking the tokenizer.

Conventions:
    ``before`` is the piece, ``after`` what came back. Times of ``after`` are read on the clock that its ids keep:
    seconds, or quarter notes, which are put on the seconds and ticks of ``before``. A piece may begin elsewhere:
    silence at its beginning is a ``shift`` of the clock, no error of each note.
    Notes find partners of the same key that begin within ``TOLERANCE_SEC``, the nearest first. Which of those that
    have one is whose then follows the order of time, and where notes of one key now begin at once, their lengths.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from etude.music.score import Notes, Score

TOLERANCE_SEC = 0.5
"""What begins further away is another note."""

_MOST_ROUNDS = 16
_MOST_SHIFTS = 8
_SAMPLE = 512
_US = 1_000_000
# notes that lie so near on average need no shift, and so near no other clock
_NEAR_SEC, _FAR_SEC = 0.005, 0.02
# less is the rounding of a grid, not silence; half a quarter note where quarters are kept
_LEAST_SILENCE_SEC = 0.005
_EARLIEST_SEC, _LATEST_SEC = -1e4, 1e6
DRUMS = 128
"""The kind of drum notes; 0 to 127 are programs."""

_ALL = 2 * DRUMS

ClockKind = Literal["seconds", "quarters"]


@dataclass(frozen=True)
class Clock:
    """How ticks of ``after`` are read as times of ``before``; ``shift`` is in seconds, or in ticks of ``before``."""

    before: Score
    after: Score
    kind: ClockKind
    shift: float = 0.0

    def sec(self, tick: np.ndarray) -> np.ndarray:
        """Return seconds of ``before`` at ticks of ``after``, float64."""
        if self.kind == "seconds":
            return self.after.tempo_map.tick_to_sec(tick) + self.shift
        return self.before.tempo_map.tick_to_sec(self.tick(tick))

    def tick(self, tick: np.ndarray) -> np.ndarray:
        """Return ticks of ``before`` at ticks of ``after``, float64."""
        if self.kind == "seconds":
            return self.before.tempo_map.sec_to_fractional_tick(self.sec(tick))
        return np.asarray(tick, np.float64) * (self.before.ppq / self.after.ppq) + self.shift

    def after_sec(self, sec: float) -> float:
        """Return seconds of ``after`` at seconds of ``before``."""
        if self.kind == "seconds":
            return sec - self.shift
        tick = self.before.tempo_map.sec_to_fractional_tick(sec) - self.shift
        return float(self.after.tempo_map.tick_to_sec(tick * (self.after.ppq / self.before.ppq)))

    @property
    def silence_sec(self) -> float:
        """Seconds at the beginning of ``before`` that ``after`` has not."""
        return float(self.shift if self.kind == "seconds" else self.before.tempo_map.tick_to_sec(self.shift))


def clock_of(before: Score, after: Score, *, prefer: ClockKind) -> Clock:
    """Return the clock on which the two pieces lie nearest together; the preferred one if both do."""
    best, second = (_best_shift(before, after, kind) for kind in (prefer, _other(prefer)))
    return second[1] if best[0] > _FAR_SEC and second[0] < 0.5 * best[0] else best[1]


def settled(clock: Clock, rows: np.ndarray, matched: np.ndarray) -> Clock:
    """Return a clock whose shift leaves as much error on either side, once it is known which notes are one.

    The first note alone tells a shift only as well as it was rounded itself.
    """
    tick = clock.after.notes.onset_tick[matched]
    if clock.kind == "seconds":
        errors = clock.sec(tick) - clock.before.onset_sec[rows]
    else:
        errors = clock.tick(tick) - clock.before.notes.onset_tick[rows]
    return replace(clock, shift=clock.shift - float(np.percentile(errors, (2.5, 97.5)).mean()))


def paired(
    before_key: np.ndarray,
    before_sec: np.ndarray,
    after_key: np.ndarray,
    after_sec: np.ndarray,
    *,
    ranks: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of two tables that are one thing: same key, nearest in time, within the tolerance.

    Args:
        before_key, after_key: what must be equal, below 2^22, (N,) and (M,).
        before_sec, after_sec: when.
        ranks: what orders rows of one key and time, in each table.

    Returns:
        Rows of the one and of the other, equally long.

    Example:
        >>> a, b = paired(np.array([60, 60, 62]), np.array([0.0, 1.0, 2.0]), np.array([60, 62]), np.array([0.98, 2.7]))
        >>> a.tolist(), b.tolist()
        ([1], [0])
    """
    before_rows, before = _in_order(before_key, before_sec, ranks[0])
    after_rows, after = _in_order(after_key, after_sec, ranks[1])
    free, after_free = np.arange(len(before)), np.arange(len(after))
    for _ in range(_MOST_ROUNDS):
        if not (len(free) and len(after_free)):
            break
        nearest = _nearest(before[free], after[after_free])
        back = _nearest(after[after_free], before[free])
        found = np.flatnonzero((nearest >= 0) & (back[nearest] == np.arange(len(free))))
        if not len(found):
            break
        free, after_free = np.delete(free, found), np.delete(after_free, nearest[found])
    # of all ways to pair those that have a partner, the order of time has the smallest errors
    kept, after_kept = np.ones(len(before), bool), np.ones(len(after), bool)
    kept[free] = after_kept[after_free] = False
    return before_rows[kept], after_rows[after_kept]


def nearest_sec(key: np.ndarray, sec: np.ndarray, among_key: np.ndarray, among_sec: np.ndarray) -> np.ndarray:
    """Return how far the nearest of the same key is, in seconds; infinite beyond the tolerance."""
    if not (len(key) and len(among_key)):
        return np.full(len(key), np.inf)
    codes, among = _codes(key, sec), np.sort(_codes(among_key, among_sec))
    found = _nearest(codes, among)
    return np.where(found >= 0, np.abs(among[found] - codes) / _US, np.inf)


def same_notes(
    before: Score, after: Score, before_sec: np.ndarray, after_sec: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of notes that are one, of the same instrument where instruments are kept, then of any."""
    first, second = np.arange(len(before_sec)), np.arange(len(after_sec))
    rank, after_rank = _rank(before.notes), _rank(after.notes)
    kinds, after_kinds = kind_of_notes(before), kind_of_notes(after)
    found = []
    for width in (_kept_width(kinds, after_kinds), _ALL):
        keys = (kinds[first] // width) << 7 | before.notes.pitch[first]
        after_keys = (after_kinds[second] // width) << 7 | after.notes.pitch[second]
        rows, matched = paired(
            keys, before_sec[first], after_keys, after_sec[second], ranks=(rank[first], after_rank[second])
        )
        found.append((first[rows], second[matched]))
        first, second = np.delete(first, rows), np.delete(second, matched)
        if not (len(first) and len(second)):
            break
    rows, matched = (np.concatenate(parts) for parts in zip(*found, strict=True))
    codes = _codes(after_kinds[matched] << 7 | after.notes.pitch[matched], after_sec[matched])
    return _by_length(rows, matched, codes, before.notes, after.notes)


def kind_of_notes(score: Score) -> np.ndarray:
    """Return the program of each note, 128 for drums, int64 (N,)."""
    kinds = np.array([DRUMS if track.is_drum else track.program for track in score.tracks] or [0], np.int64)
    return kinds[score.notes.track]


def _kept_width(kinds: np.ndarray, after_kinds: np.ndarray) -> int:
    """Return how many programs have become one: 1, families of 8, all but drums, or all.

    Where instruments are pooled one of them has more notes than it had.
    """
    for width in (1, 8, DRUMS):
        groups, after_groups = (np.bincount(of // width, minlength=DRUMS + 1) for of in (kinds, after_kinds))
        if (after_groups <= groups).all():
            return width
    return _ALL


def _by_length(
    rows: np.ndarray, matched: np.ndarray, codes: np.ndarray, before: Notes, after: Notes
) -> tuple[np.ndarray, np.ndarray]:
    """Pair notes of one code by length: nothing else tells them apart; those of one length by velocity."""
    order = np.argsort(codes, kind="stable")
    first = np.flatnonzero(np.diff(codes[order], prepend=-1))
    if len(first) == len(codes):
        return rows, matched
    rows, matched = rows[order], matched[order]
    group = np.repeat(np.arange(len(first)), np.diff(first, append=len(codes)))
    length = after.duration_tick[matched]
    is_one = (np.maximum.reduceat(length, first) == np.minimum.reduceat(length, first))[group]
    rank = np.where(is_one, before.velocity[rows], _rank(before)[rows])
    return rows[np.lexsort((rank, group))], matched[np.lexsort((_rank(after)[matched], group))]


def _rank(notes: Notes) -> np.ndarray:
    return notes.duration_tick.astype(np.int64) << 7 | notes.velocity


def _other(kind: ClockKind) -> ClockKind:
    return "quarters" if kind == "seconds" else "seconds"


def _best_shift(before: Score, after: Score, kind: ClockKind) -> tuple[float, Clock]:
    """Return how far notes are from those of their pitch, a mean in seconds, and the clock with the best shift."""
    clock = Clock(before, after, kind)
    if not (len(before.notes) and len(after.notes)):
        return 0.0, clock
    # whatever comes back was there, but not the other way round
    _, codes = _in_order(before.notes.pitch, before.onset_sec)
    rows = np.unique(np.linspace(0, len(after.notes) - 1, _SAMPLE).astype(np.int64))
    pitch, tick = after.notes.pitch[rows], after.notes.onset_tick[rows]
    best = None
    for shift in (0.0, *_shifts(before, after, clock)):
        if best is not None and best[0] < _NEAR_SEC:
            break
        shifted = Clock(before, after, kind, shift)
        query = _codes(pitch, shifted.sec(tick))
        right = np.minimum(np.searchsorted(codes, query), len(codes) - 1)
        away = np.minimum(np.abs(codes[right] - query), np.abs(codes[np.maximum(right - 1, 0)] - query))
        cost = float(np.minimum(away / _US, TOLERANCE_SEC).mean())
        if best is None or cost < 0.5 * best[0] - 1e-4:
            best = cost, shifted
    return best


def _shifts(before: Score, after: Score, clock: Clock) -> list[float]:
    """Return how much later notes of ``before`` begin that may be the first of ``after``."""
    own = before.onset_sec if clock.kind == "seconds" else before.notes.onset_tick
    other = (clock.sec if clock.kind == "seconds" else clock.tick)(after.notes.onset_tick[:1])
    rows = np.flatnonzero(before.notes.pitch == after.notes.pitch[0])[:_MOST_SHIFTS]
    least = _LEAST_SILENCE_SEC if clock.kind == "seconds" else before.ppq / 2
    return sorted({float(shift) for shift in own[rows] - other if abs(shift) >= least}, key=abs)


def _codes(key: np.ndarray, sec: np.ndarray) -> np.ndarray:
    """Return one number for key and time, so that both are searched at once."""
    us = (np.clip(sec, _EARLIEST_SEC, _LATEST_SEC) - _EARLIEST_SEC) * _US
    return np.asarray(key, np.int64) << 41 | np.rint(us).astype(np.int64)


def _in_order(key: np.ndarray, sec: np.ndarray, rank: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    codes = _codes(key, sec)
    rows = np.argsort(codes, kind="stable")
    ordered = codes[rows]
    if not (ordered[1:] == ordered[:-1]).any():
        return rows, ordered
    if rank is not None:
        rows = np.lexsort((rank, codes))
    # equal ones a microsecond apart: as many on the other side then find each their own
    count = np.arange(len(rows))
    return rows, np.maximum.accumulate(ordered - count) + count


def _nearest(codes: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return the place of the nearest of ``among``, -1 where none is within the tolerance."""
    right = np.searchsorted(among, codes)
    left = np.maximum(right - 1, 0)
    right = np.minimum(right, len(among) - 1)
    to_left, to_right = np.abs(among[left] - codes), np.abs(among[right] - codes)
    is_near = np.minimum(to_left, to_right) <= TOLERANCE_SEC * _US
    return np.where(is_near, np.where(to_left <= to_right, left, right), -1)
