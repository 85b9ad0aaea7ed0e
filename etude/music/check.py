"""What can be wrong in a Score: every value in its range, every track there, every row in order.

A Score with no problems can be written as MIDI (up to 32,767 ticks per quarter), tokenized and rendered.
"""

from typing import NamedTuple

import numpy as np

from etude.music.columns import MAX_TICK
from etude.music.score import TEXT_KINDS, WHOLE_PIECE, Columns, Score

# of each table: column, lowest and highest value
_RANGES = {
    "notes": (
        ("onset_tick", 0, MAX_TICK),
        ("duration_tick", 0, MAX_TICK),
        ("pitch", 0, 127),
        ("velocity", 1, 127),
    ),
    "tempos": (("tick", 0, MAX_TICK), ("us_per_quarter", 1, 0xFFFFFF)),
    "time_signatures": (("tick", 0, MAX_TICK), ("numerator", 1, 255), ("denominator", 1, 128)),
    "key_signatures": (("tick", 0, MAX_TICK), ("sharps", -7, 7), ("is_minor", 0, 1)),
    "controls": (("tick", 0, MAX_TICK), ("number", 0, 127), ("value", 0, 127)),
    "pitch_bends": (("tick", 0, MAX_TICK), ("value", -8192, 8191)),
    "texts": (("tick", 0, MAX_TICK),),
}


class Problem(NamedTuple):
    """One thing that is wrong."""

    code: str
    """``range``, ``track``, ``order``, ``length``, ``denominator``, ``kind``."""
    where: str
    """Such as ``notes.pitch[3]``."""
    message: str


def check_score(score: Score) -> list[Problem]:
    """Return what is wrong in a Score, the first row of each problem; empty when all is well.

    Example:
        >>> check_score(Score.of([0], [480], [60]))
        []
        >>> check_score(Score.of([0], [480], [128]))[0].message
        'pitch = 128, expected 0 to 127'
    """
    problems = []
    if score.ppq < 1:
        problems.append(Problem("range", "ppq", f"ppq = {score.ppq}, expected at least 1"))
    for index, track in enumerate(score.tracks):
        if not 0 <= track.program <= 127:
            message = f"program = {track.program}, expected 0 to 127"
            problems.append(Problem("range", f"tracks[{index}].program", message))
    for name, ranges in _RANGES.items():
        table = getattr(score, name)
        if not len(table):
            continue
        for column, low, high in ranges:
            problems += _check_range(name, column, getattr(table, column), low, high)
        problems += _check_order(name, table)
        if hasattr(table, "track"):
            low = WHOLE_PIECE if name == "texts" else 0
            problems += _check_range(name, "track", table.track, low, len(score.tracks) - 1, code="track")
    return problems + _check_relations(score)


def _check_range(
    table: str, column: str, values: np.ndarray, low: int, high: int, code: str = "range"
) -> list[Problem]:
    if len(values) == 1:
        is_within = low <= values[0] <= high
    elif low == 0:
        # one look will do: without its sign, a negative number is larger than any that is allowed
        is_within = np.maximum.reduce(values.view(np.uint32)) <= high
    else:
        is_within = np.minimum.reduce(values) >= low and np.maximum.reduce(values) <= high
    if is_within:
        return []
    row = int(((values < low) | (values > high)).argmax())
    message = f"{column} = {values[row]}, expected {low} to {high}"
    return [Problem(code, f"{table}.{column}[{row}]", message)]


def _check_order(name: str, table: Columns) -> list[Problem]:
    if table.in_order() is table:
        return []
    return [Problem("order", name, "rows are not in order; build the table with .of")]


def _check_relations(score: Score) -> list[Problem]:
    """Check what more than one column says."""
    problems = []
    notes, lower = score.notes, score.time_signatures.denominator
    if len(notes) and int(notes.onset_tick.max()) + int(notes.duration_tick.max()) > MAX_TICK:
        too_late = notes.onset_tick.astype(np.int64) + notes.duration_tick > MAX_TICK
        if too_late.any():
            where = f"notes.duration_tick[{int(too_late.argmax())}]"
            problems.append(Problem("length", where, f"the note ends after tick {MAX_TICK}"))
    wrong = (lower & (lower - 1)) != 0
    if len(lower) and wrong.any():
        row = int(wrong.argmax())
        message = f"denominator = {lower[row]}, expected a power of two"
        problems.append(Problem("denominator", f"time_signatures.denominator[{row}]", message))
    unknown = [row for row, kind in enumerate(score.texts.kind) if kind not in TEXT_KINDS]
    if unknown:
        message = f"kind = {score.texts.kind[unknown[0]]!r}, expected one of {', '.join(TEXT_KINDS)}"
        problems.append(Problem("kind", f"texts.kind[{unknown[0]}]", message))
    return problems
