"""Steps of an automaton, one after another, as one step: what a grammar needs once ids stand for sequences.

To a cell, an id of ``etude.tokens.grammar`` does s -> min(s * a, c) + d with a >= 0, and asks for low <= s <= high
before. Both are closed under following one another: with (a1, c1, d1) first,

    s -> min(s * a1 * a2, min(c1 * a2, c2 - d1 * a2)) + (d1 * a2 + d2)

and bounds on what stands after the first step are bounds on s, because the step never falls as s rises. So a
merged id has one interval and one (a, c, d) for each cell, however long its sequence is, and they are exact. Where
ids copy cells, s is the value of the cell that the copies lead back to.
Legend: M merged ids, C cells.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from etude.tokens.grammar import Grammar

FREE = 1 << 40
"""Stands for no bound while steps are put together; values of cells are far smaller."""

_ANY = np.iinfo(np.int32).max
"""Stands for no bound in the tables of a grammar."""
_AT_ONCE = 1 << 19
"""Cells of merged ids that are put together at a time, which bounds memory."""

_LARGEST_SCALE = 1 << 15
"""A scale above every cap does what a larger one does, and stays within 32 bits."""


class Steps(NamedTuple):
    """What M merged ids ask of each cell before all steps and do to it by all of them, int64 (M, C) each."""

    low: np.ndarray
    high: np.ndarray
    source: np.ndarray
    """The cell that each takes its value from."""
    scale: np.ndarray
    cap: np.ndarray
    add: np.ndarray


def nothing(num_merged: int, num_cells: int) -> Steps:
    """Return steps that ask for nothing and do nothing."""
    low, high, scale, cap, add = (
        np.full((num_merged, num_cells), value, np.int64) for value in (-FREE, FREE, 1, FREE, 0)
    )
    return Steps(low, high, np.tile(np.arange(num_cells), (num_merged, 1)), scale, cap, add)


def ask(steps: Steps, rows: np.ndarray, cell: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Ask that a cell be within bounds after the steps so far; in place.

    Args:
        steps: so far.
        rows: merged ids, each once.
        cell: one cell for each row.
        low: a bound for each row: ``-FREE`` for none, ``FREE`` for one that nothing reaches.
        high: the same the other way round.
    """
    at = (rows, cell)
    scale, cap = steps.scale[at], steps.cap[at]
    divisor = np.maximum(scale, 1)
    # min(s * scale, cap) has to lie within these; whole numbers, so divisions round inwards
    least, most = low - steps.add[at], high - steps.add[at]
    settled = np.minimum(0, cap)
    has_low = (low > -FREE) & ~((scale == 0) & (settled >= least))
    has_high = (high < FREE) & (cap > most) & ~((scale == 0) & (settled <= most))
    never_low = (low >= FREE) | (cap < least) | (scale == 0)
    never_high = (high <= -FREE) | (scale == 0)
    low_before = np.where(has_low, np.where(never_low, FREE, -(-least // divisor)), -FREE)
    high_before = np.where(has_high, np.where(never_high, -FREE, most // divisor), FREE)
    before = (rows, steps.source[at])
    steps.low[before] = np.maximum(steps.low[before], low_before)
    steps.high[before] = np.minimum(steps.high[before], high_before)


def copy(steps: Steps, rows: np.ndarray, source: np.ndarray) -> None:
    """Copy cells of some merged ids, after the steps so far; in place.

    Args:
        steps: so far.
        rows: merged ids, each once.
        source: the cell that each takes its value from, (rows, C).
    """
    for table in (steps.source, steps.scale, steps.cap, steps.add):
        table[rows] = np.take_along_axis(table[rows], source, axis=1)


def follow(steps: Steps, rows: np.ndarray, scale: np.ndarray, cap: np.ndarray) -> None:
    """Multiply all cells of some merged ids and hold them to caps, after the steps so far; in place.

    Args:
        steps: so far.
        rows: merged ids, each once.
        scale: (rows, C).
        cap: (rows, C), ``FREE`` for none.
    """
    add = steps.add[rows] * scale
    held = np.where((steps.cap[rows] >= FREE) & (scale > 0), FREE, steps.cap[rows] * scale)
    cap = np.minimum(held, np.where(cap >= FREE, FREE, cap - add))
    scale = np.minimum(steps.scale[rows] * scale, _LARGEST_SCALE)
    # a cell that keeps nothing of what it was holds one value
    add = np.where(scale == 0, np.minimum(cap, 0) + add, add)
    steps.scale[rows], steps.cap[rows], steps.add[rows] = scale, np.where(scale == 0, FREE, cap), add


def merged_tables(grammar: "Grammar", sequences: Sequence[Sequence[int] | np.ndarray]) -> dict[str, np.ndarray]:
    """Return all tables but ``initial`` of a grammar with an id more for each sequence; see ``Grammar.merged``."""
    num_cells = len(grammar.initial)
    rows = max(1, _AT_ONCE // num_cells)
    parts = [
        _sparse(_steps_of(grammar, sequences[first : first + rows]), _moves_of(grammar))
        for first in range(0, len(sequences), rows)
    ]
    tables: dict[str, np.ndarray] = {}
    for name, padding in (
        ("need_cell", 0),
        ("need_low", -_ANY),
        ("need_high", _ANY),
        ("add_cell", 0),
        ("add_value", 0),
    ):
        tables[name] = _stacked([getattr(grammar, name), *(part[name] for part in parts)], padding)
    own = np.stack([getattr(grammar, name) for name in _moves_of(grammar)], axis=1)
    moves, which = np.unique(np.concatenate([own, *(part["moves"] for part in parts)]), axis=0, return_inverse=True)
    which = which.reshape(-1)
    tables["rule"] = np.concatenate([which[: len(own)][grammar.rule], which[len(own) :]]).astype(np.int32)
    for place, name in enumerate(_moves_of(grammar)):
        tables[name] = np.ascontiguousarray(moves[:, place])
    return tables


def _moves_of(grammar: "Grammar") -> tuple[str, ...]:
    """Return the names of the tables that have a row for each rule; (K, C)."""
    return ("scale", "cap", "source") if hasattr(grammar, "source") else ("scale", "cap")


def _steps_of(grammar: "Grammar", sequences: Sequence[Sequence[int] | np.ndarray]) -> Steps:
    steps = nothing(len(sequences), len(grammar.initial))
    length = np.array([len(sequence) for sequence in sequences])
    ids = np.zeros((len(sequences), length.max()), np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
    cap = np.where(grammar.cap == _ANY, FREE, grammar.cap.astype(np.int64))
    low, high = _unbound(grammar.need_low), _unbound(grammar.need_high)
    for place in range(ids.shape[1]):
        rows = np.flatnonzero(place < length)
        now = ids[rows, place]
        for need in range(low.shape[1]):
            ask(steps, rows, grammar.need_cell[now, need], low[now, need], high[now, need])
        if hasattr(grammar, "source"):
            copy(steps, rows, grammar.source[grammar.rule[now]])
        follow(steps, rows, grammar.scale[grammar.rule[now]].astype(np.int64), cap[grammar.rule[now]])
        for effect in range(grammar.add_cell.shape[1]):
            steps.add[rows, grammar.add_cell[now, effect]] += grammar.add_value[now, effect]
    return steps


def _unbound(bound: np.ndarray) -> np.ndarray:
    """Return bounds of a grammar's tables with ``FREE`` for what nothing reaches."""
    return np.where(np.abs(bound.astype(np.int64)) >= _ANY, np.sign(bound.astype(np.int64)) * FREE, bound)


def _sparse(steps: Steps, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return steps as rows of the tables of a grammar, with ``moves`` (M, names, C) for those of its rules."""
    low = np.where(steps.low >= FREE >> 1, _ANY, np.maximum(steps.low, -_ANY))
    high = np.where(steps.high <= -FREE >> 1, -_ANY, np.minimum(steps.high, _ANY))
    need_cell, (need_low, need_high) = _picked((low > -_ANY) | (high < _ANY), (low, high), (-_ANY, _ANY))
    add_cell, (add_value,) = _picked(steps.add != 0, (steps.add,), (0,))
    moves = np.stack([np.minimum(getattr(steps, name), _ANY) for name in names], axis=1).astype(np.int32)
    return {
        "need_cell": need_cell,
        "need_low": need_low,
        "need_high": need_high,
        "add_cell": add_cell,
        "add_value": add_value,
        "moves": moves,
    }


def _picked(
    chosen: np.ndarray, values: Sequence[np.ndarray], padding: Sequence[int]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the chosen cells of each row, as wide as the fullest row, and their values; int32."""
    row, cell = np.nonzero(chosen)
    count = np.bincount(row, minlength=len(chosen))
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    shape = (len(chosen), max(1, count.max(initial=0)))
    cells, tables = np.zeros(shape, np.int32), []
    cells[row, place] = cell
    for value, empty in zip(values, padding, strict=True):
        table = np.full(shape, empty, np.int32)
        table[row, place] = value[row, cell]
        tables.append(table)
    return cells, tables


def _stacked(parts: list[np.ndarray], padding: int) -> np.ndarray:
    """Stack tables that are not equally wide."""
    width = max(part.shape[1] for part in parts)
    wide = [np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=padding) for part in parts]
    return np.concatenate(wide).astype(np.int32)
