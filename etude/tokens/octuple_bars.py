"""Bars of the octuple tokenizer: from onsets and time signatures to bars that rows can tell, and back.

A row tells its bar's number and metre; of bars without notes nothing is told. Whoever reads rows takes them to have
the metre of the last bar with notes, and those before the first note to have the metre of the first bar with notes.
Bars are laid out here so that reading them like that gives every onset back, to the position:

    a bar cut short by a change of metre has the metre of the length that is left of it;
    where bars without notes are cut short, the next bar with notes begins earlier by what is left over;
    where neither can be told, the change of metre is passed over until the next one.

Times are positions of a 64th note. N is the number of notes.
"""

from typing import NamedTuple

import numpy as np

from etude.music.score import TimeSignatures
from etude.tokens.octuple_layout import (
    BAR_LENGTHS,
    LONGEST_BAR,
    METRE_OF,
    POSITIONS_PER_QUARTER,
    metre_of,
    metre_of_length,
)


class _Stretch(NamedTuple):
    """Bars of one metre from a note on: bar ``number`` begins at ``start``."""

    first_note: int
    start: int
    number: int
    metre: int
    length: int


def bars_of_onsets(
    onset: np.ndarray, signatures: TimeSignatures, ppq: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | int]:
    """Return bar, position in it and metre id of each note.

    Args:
        onset: positions in rising order, whole numbers (N,), N > 0.
        signatures: the time signatures of the piece.
        ppq: their ticks per quarter note.

    Returns:
        bar (N,), position (N,), metre (N,), or one metre for all.
    """
    changes = _changes(signatures, ppq)
    if len(changes) == 1 and changes[0][0] == 0:
        metre = changes[0][1]
        length = int(BAR_LENGTHS[metre])
        bar = onset // length
        return bar, onset - bar * length, metre
    stretches = _stretches(onset, changes)
    counts = np.diff([*(stretch.first_note for stretch in stretches), len(onset)])
    _, start, number, metre, length = np.repeat(np.array(stretches).T, counts, axis=1)
    bar, position = np.divmod(onset - start, length)
    return bar + number, position, metre


def starts_of_bars(number: np.ndarray, metre: np.ndarray) -> np.ndarray:
    """Return where bars with notes begin, int64.

    Args:
        number: of each bar with notes, once, in rising order.
        metre: the metre id of each.
    """
    length = BAR_LENGTHS[metre]
    steps = length.copy()
    steps[:1] *= number[:1]
    np.multiply(length[:-1], np.diff(number), out=steps[1:])
    return np.cumsum(steps)


def _changes(signatures: TimeSignatures, ppq: int) -> list[tuple[int, int]]:
    """Return (position, metre) of each change of metre, the first at 0, in rising order, each position once."""
    changes = {0: METRE_OF[4, 4]}
    rows = zip(*(column.tolist() for column in signatures.columns().values()), strict=True)
    for tick, upper, lower in rows:
        changes[round(tick * POSITIONS_PER_QUARTER / ppq)] = metre_of(upper, lower)
    result: list[tuple[int, int]] = []
    for at, metre in changes.items():
        # a change to the same metre at a bar line changes nothing
        if not result or metre != result[-1][1] or (at - result[-1][0]) % int(BAR_LENGTHS[metre]):
            result.append((at, metre))
    return result


def _stretches(onset: np.ndarray, changes: list[tuple[int, int]]) -> list[_Stretch]:
    """Lay out bars, a stretch or a few for each change of metre that has notes."""
    first_notes = onset.searchsorted([at for at, _ in changes]).tolist()
    stretches: list[_Stretch] = []
    for (at, metre), first, end in zip(changes, first_notes, [*first_notes[1:], len(onset)], strict=True):
        if first == end:
            continue
        length = int(BAR_LENGTHS[metre])
        start = at + (int(onset[first]) - at) // length * length
        if stretches:
            _join(stretches, onset, _Stretch(first, start, 0, metre, length), end)
        else:
            _begin(stretches, onset, _Stretch(first, start, 0, metre, length), end)
    return stretches


def _begin(stretches: list[_Stretch], onset: np.ndarray, new: _Stretch, end: int) -> None:
    """Lay out the first stretch, after bars of its own metre without notes."""
    number, left_over = divmod(new.start, new.length)
    if left_over and not _lengthened(stretches, onset, new._replace(number=0), new.start, end):
        # its bars cannot begin where they should, so they begin with the piece
        number, left_over = int(onset[new.first_note]) // new.length, 0
        new = new._replace(start=number * new.length)
    if not left_over:
        stretches.append(new._replace(number=number))


def _join(stretches: list[_Stretch], onset: np.ndarray, new: _Stretch, end: int) -> None:
    """Lay out a stretch after others."""
    last = _last_bar(stretches, onset, new.first_note)
    gap = new.start - last.start
    is_first_bar = len(stretches) == 1 and last.number == stretches[0].number > 0
    if gap < last.length and not is_first_bar:
        # the bar before is cut short
        if stretches[-1].first_note == last.first_note:
            stretches.pop()
        stretches.append(last._replace(metre=metre_of_length(gap), length=gap))
        stretches.append(new._replace(number=last.number + 1))
        return
    bars, left_over = divmod(gap, last.length)
    if bars and not left_over:
        stretches.append(new._replace(number=last.number + bars))
    elif not bars or not _lengthened(stretches, onset, new._replace(number=last.number + bars), left_over, end):
        # bars of the metre before go on, from its last bar
        stretches.append(last._replace(first_note=new.first_note))


def _lengthened(stretches: list[_Stretch], onset: np.ndarray, new: _Stretch, by: int, end: int) -> bool:
    """Lay out a stretch whose first bar begins earlier; tell whether that can be told."""
    bar_end, length = new.start + new.length, new.length + by
    after = new.first_note + int(onset[new.first_note : end].searchsorted(bar_end))
    # bars without notes after it would be taken to be as long
    if length > LONGEST_BAR or (after < end and onset[after] >= bar_end + new.length):
        return False
    stretches.append(new._replace(start=new.start - by, metre=metre_of_length(length), length=length))
    if after < end:
        stretches.append(_Stretch(after, bar_end, new.number + 1, new.metre, new.length))
    return True


def _last_bar(stretches: list[_Stretch], onset: np.ndarray, end: int) -> _Stretch:
    """Return the last bar with notes before note ``end`` as a stretch of its own."""
    last = stretches[-1]
    bars = (int(onset[end - 1]) - last.start) // last.length
    start = last.start + bars * last.length
    first = last.first_note + int(onset[last.first_note : end].searchsorted(start))
    return _Stretch(first, start, last.number + bars, last.metre, last.length)
