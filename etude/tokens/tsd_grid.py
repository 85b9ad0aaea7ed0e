"""The grid of steps under a piece: a beat of the time signature in force has ``finest`` steps.

Times are rounded twice. First to *ticks*, of which a step has at least one: as many to a quarter as the shortest
beat of the piece needs. Then to the steps of their *section*, a run of signatures with one lower number; its grid
begins where it begins. Where a piece has one lower number, a step is a tick and the second rounding does nothing.
A signature waits for the next bar line of the one before it; of several that meet there the last stays, and
one that changes nothing is passed over.
"""

from dataclasses import dataclass

import numpy as np

from etude.music.score import Score
from etude.tokens.tsd_settings import ShiftSettings

COMMON_TIME = (4, 4)

Row = tuple[int, tuple[int, int]]
"""A signature: its tick, its two numbers."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the steps of a piece are; ticks are counted from its beginning.

    Args:
        ppq: ticks of the Score to a quarter.
        tpq: ticks of the grid to a quarter.
        signatures: (tick, (numerator, denominator)), the first at tick 0.
        starts: first tick of each section, int64 (S,).
        step: ticks to a step in each section, int64 (S,).
    """

    ppq: int
    tpq: int
    signatures: list[Row]
    starts: np.ndarray
    step: np.ndarray

    @property
    def is_even(self) -> bool:
        """Tell whether a step is a tick all along."""
        return len(self.step) == 1 and int(self.step[0]) == 1

    def ticks(self, score_tick: np.ndarray) -> np.ndarray:
        """Return the nearest ticks, the later of two, of ticks of the Score, int64."""
        # half the width is several times the speed
        most = int(np.maximum.reduce(score_tick, initial=0)) + 1
        times, width = 2 * self.tpq, np.int32 if 2 * self.tpq * most + self.ppq < 1 << 31 else np.int64
        twice = np.multiply(score_tick, times, dtype=width)
        twice += width(self.ppq)
        twice //= width(2 * self.ppq)
        return twice.astype(np.int64)

    def section(self, tick: np.ndarray) -> np.ndarray:
        """Return the section of each tick."""
        return np.searchsorted(self.starts, tick, side="right") - 1

    def step_at(self, tick: np.ndarray) -> np.ndarray | int:
        """Return the ticks of a step at each tick, 1 where a step is a tick all along."""
        return 1 if self.is_even else self.step[self.section(tick)]

    def on_steps(self, tick: np.ndarray) -> np.ndarray:
        """Return the nearest ticks at which a step begins, the even step of two."""
        if self.is_even:
            return tick
        section = self.section(tick)
        start, step = self.starts[section], self.step[section]
        return start + np.rint((tick - start) / step).astype(np.int64) * step

    def spans(self, onset_tick: np.ndarray, duration_tick: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where things that last begin and end, in ticks of the grid; none is shorter than a step.

        Args:
            onset_tick: in ticks of the Score.
            duration_tick: in ticks of the Score.
        """
        onset = self.ticks(onset_tick)
        end = onset + np.maximum(self.ticks(duration_tick), 1)
        if self.is_even:
            return onset, end
        onset, end = self.on_steps(onset), self.on_steps(end)
        return onset, np.where(end > onset, end, onset + self.step[self.section(onset)])


def grid_of(score: Score, settings: ShiftSettings) -> Grid:
    """Return the grid of a piece."""
    told = settings.time_signature_range if settings.use_time_signatures else ()
    times = score.time_signatures
    columns = (times.tick.tolist(), times.numerator.tolist(), times.denominator.tolist())
    rows = [(tick, (upper, lower)) for tick, upper, lower in zip(*columns, strict=True) if (upper, lower) in told]
    if not rows or rows[0][0] > 0:
        rows.insert(0, (0, COMMON_TIME))
    tpq = settings.finest * max(lower for _, (_, lower) in rows) // 4
    placed = _at_bar_lines(rows, score.ppq, tpq)
    return Grid(score.ppq, tpq, placed, *_sections(placed, 4 * tpq // settings.finest))


def _at_bar_lines(rows: list[Row], ppq: int, tpq: int) -> list[Row]:
    """Return signatures in ticks of the grid, each at a bar line."""
    placed: list[Row] = []
    for score_tick, metre in rows:
        tick = score_tick * tpq // ppq
        if placed:
            start, (upper, lower) = placed[-1]
            bar = 4 * tpq * upper // lower
            tick = start + max(-(-(tick - start) // bar), 0) * bar
            if tick == start:
                placed.pop()
        placed.append((tick, metre))
    return [row for row, before in zip(placed, [None, *placed], strict=False) if not before or row[1] != before[1]]


def _sections(placed: list[Row], ticks: int) -> tuple[np.ndarray, np.ndarray]:
    """Join signatures of one lower number; ``ticks`` to a whole note's part that ``finest`` steps make."""
    starts, lowers = [], []
    for tick, (_, lower) in placed:
        if not lowers or lower != lowers[-1]:
            starts.append(tick)
            lowers.append(lower)
    return np.array(starts, np.int64), ticks // np.array(lowers, np.int64)
