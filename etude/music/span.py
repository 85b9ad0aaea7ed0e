"""Rows of a table between two ticks, and what holds where they begin.

A tempo, a signature, a bend or the value of a controller holds until the next one replaces it, so a part
of a piece needs the last one before it. A note or a word does not.
"""

from typing import Any

import numpy as np

from etude.music.score import Columns, Controls, PitchBends, Texts

# controllers that mean something only one after the other: numbers of parameters, and their data
_PARAMETERS = (6, 38, 96, 97, 98, 99, 100, 101)


def span_of(table: Columns, start: int, end: int) -> Any:
    """Return the rows from one tick to before another, and at tick 0 what holds at the first of them.

    Rows at the end itself are kept of controls and bends, so that a pedal that comes up there does.

    Args:
        table: any table but notes.
        start: the tick that becomes 0.
        end: the tick where the span ends, not before its start.
    """
    tick = table.tick
    is_kept = (tick >= start) & ((tick <= end) if isinstance(table, (Controls, PitchBends)) else (tick < end))
    if not isinstance(table, Texts):
        before = int(np.searchsorted(tick, start, side="right"))
        is_kept[_in_force(table, before)] = True
    rows = table.take(is_kept)
    return rows.replace(tick=np.maximum(rows.tick - start, 0))


def _in_force(table: Columns, before: int) -> np.ndarray:
    """Return which of the first ``before`` rows no later one of them replaces."""
    replaced_by = np.zeros(before, np.int64)
    if isinstance(table, PitchBends):
        replaced_by += table.track[:before]
    if isinstance(table, Controls):
        number = table.number[:before]
        replaced_by += table.track[:before].astype(np.int64) * 128 + number
        rows = np.isin(number, _PARAMETERS).nonzero()[0]
        replaced_by[rows] = -1 - rows
    _, from_the_end = np.unique(replaced_by[::-1], return_index=True)
    return before - 1 - from_the_end
