"""Bars of a piece and the way from ticks to places in them, for the `remi` tokenizer.

A bar is as long as its metre says, always: a metre that changes inside a bar holds from the next bar line on, so
times stay what they are. A place is one whole number, ``bar << 7 | position``, so places are ordered as music is.
A position is a twelfth of a quarter note. Times are rounded to the nearest, counted from the start of the piece,
halves to the even one. Bars such as 3/32 end between two positions: a piece that has some is uneven, its positions
are counted from their bar lines, and what is rounded past the end of a bar begins the next. Units, 4 to a position,
hold every bar line exactly.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from etude.music.score import TimeSignatures
from etude.tokens.remi_vocab import (
    COMMON_METRE,
    METRE_UNITS,
    POSITIONS_PER_QUARTER,
    UNITS_PER_POSITION,
    UNITS_PER_QUARTER,
    metre_id,
)


class Grid(NamedTuple):
    """Stretches of one metre, S of them, each from a bar line to the next one's.

    Attributes:
        start: first unit, int64 (S,).
        length: units of a bar, int64 (S,).
        metre: number of the metre, int32 (S,).
        bar: first bar, int64 (S,).
        is_even: every bar line lies on a position.
    """

    start: np.ndarray
    length: np.ndarray
    metre: np.ndarray
    bar: np.ndarray
    is_even: bool

    def metre_of_bars(self, count: int) -> np.ndarray | int:
        """Return the metre of each bar, int32 (count,), or the one that all have."""
        if len(self.bar) == 1:
            return int(self.metre[0])
        return np.repeat(self.metre, np.diff(np.minimum(np.append(self.bar, count), count)))


@cache
def _grid_of_one(metre: int) -> Grid:
    """Return the bars of a piece in one metre."""
    length = METRE_UNITS[[metre]]
    zero = np.zeros(1, np.int64)
    return Grid(zero, length, np.array([metre], np.int32), zero, not length[0] % UNITS_PER_POSITION)


def grid_of(signatures: TimeSignatures | None, ppq: int) -> Grid:
    """Return the bars of a piece; in 4/4 where nothing else is said."""
    if signatures is None or not len(signatures):
        return _grid_of_one(COMMON_METRE)
    if len(signatures) == 1 and signatures.tick[0] == 0:
        return _grid_of_one(metre_id(signatures.numerator[0], signatures.denominator[0]))
    start, metre, bar = [0], [COMMON_METRE], [0]
    for tick, upper, lower in zip(*(column.tolist() for column in signatures.columns().values()), strict=True):
        unit = UNITS_PER_QUARTER * tick / ppq
        # as early as its own place, rounded like any other, so that a few ticks do not cost a bar
        unit = min(unit, UNITS_PER_POSITION * round(POSITIONS_PER_QUARTER * tick / ppq))
        length = int(METRE_UNITS[metre[-1]])
        bars = max(-int((start[-1] - unit) // length), 0)
        found = metre_id(upper, lower)
        if not bars:
            metre[-1] = found
        elif found != metre[-1]:
            start.append(start[-1] + bars * length)
            bar.append(bar[-1] + bars)
            metre.append(found)
    lengths = METRE_UNITS[metre]
    return Grid(
        np.array(start), lengths, np.array(metre, np.int32), np.array(bar), not (lengths % UNITS_PER_POSITION).any()
    )


def positions(tick: np.ndarray, ppq: int) -> np.ndarray:
    """Return the nearest position, float64, counted from the start of the piece."""
    # multiplied first: halves must stay halves
    position = np.multiply(tick, float(POSITIONS_PER_QUARTER))
    position /= ppq
    return np.rint(position, out=position)


def even_places(position: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the places, int64, of positions from the start, int64, where every bar line lies on one."""
    start, length = grid.start // UNITS_PER_POSITION, grid.length // UNITS_PER_POSITION
    if len(start) == 1:
        bar = position // length[0]
        return (bar << 7) + (position - bar * length[0])
    part = start.searchsorted(position, side="right") - 1
    inside = position - start[part]
    length = length[part]
    bars = inside // length
    return (grid.bar[part] + bars << 7) + (inside - bars * length)


def uneven_places(tick: np.ndarray, ppq: int, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of ticks in any grid, and the unit of each place; both int64."""
    unit = np.multiply(tick, float(UNITS_PER_QUARTER)) / ppq
    part = np.maximum(grid.start.searchsorted(unit, side="right") - 1, 0)
    length = grid.length[part]
    inside = unit - grid.start[part]
    bars = (inside // length).astype(np.int64)
    line = grid.start[part] + bars * length
    position = np.rint((unit - line) / UNITS_PER_POSITION).astype(np.int64)
    is_next = UNITS_PER_POSITION * position >= length
    line += np.where(is_next, length, UNITS_PER_POSITION * position)
    return (grid.bar[part] + bars + is_next << 7) + np.where(is_next, 0, position), line


def places(tick: np.ndarray, ppq: int, grid: Grid) -> np.ndarray:
    """Return the place of each tick, int64."""
    if grid.is_even:
        return even_places(positions(tick, ppq).astype(np.int64), grid)
    return uneven_places(tick, ppq, grid)[0]


def bar_units(metre_of_bar: np.ndarray) -> np.ndarray:
    """Return the unit at which each bar begins, int64, from the metre of each."""
    start = np.zeros(len(metre_of_bar), np.int64)
    np.cumsum(METRE_UNITS[metre_of_bar[:-1]], out=start[1:])
    return start
