"""Written music to played music: bars in the order of their repeats, ties joined, one Score.

What MusicXML and ABC have in common. A reader fills a ``Written``: bars, and tables whose rows say in which bar
they stand and how many ticks after its beginning. Repeats are played as marked: volte, da capo, dal segno, coda,
fine; after a da capo or dal segno repeats are not played again, and of volte the last. A jump restores the tempo,
metre and key of the place it leads to. Where bars are shorter than their metre says, as with an upbeat, the metre
is stated again at the next whole bar, so that bars of the Score begin where bars of the music do.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import lcm

import numpy as np

from etude.errors import FormatError
from etude.music.columns import MAX_TICK, WHOLE_PIECE
from etude.music.midi_in import notes_in_order
from etude.music.score import Controls, KeySignatures, Score, Tempos, Texts, TimeSignatures, Track

MAX_BARS = 100_000
"""Repeats that play more bars are refused: a damaged count would fill the memory."""

# what MIDI can hold; what holds all durations above 1/32 of 3, 5, 7 and 9; what sequencers show well
_LARGEST_PPQ, _PPQ_OTHERWISE, _SMALLEST_PPQ = 32_767, 10_080, 96


@dataclass
class Bar:
    """How long a bar is and what it says of the order of bars.

    Attributes:
        length_tick: ticks from its beginning to the next bar's.
        forward: a repeat begins here.
        plays: a repeat ends here, and is played so often in all; 0 if none ends.
        endings: the times at which this bar is played, if it is part of a volta.
        segno, coda, fine, to_coda, da_capo, dal_segno: marks that stand here.
    """

    length_tick: int = 0
    forward: bool = False
    plays: int = 0
    endings: frozenset[int] = frozenset()
    segno: bool = False
    coda: bool = False
    fine: bool = False
    to_coda: bool = False
    da_capo: bool = False
    dal_segno: bool = False


@dataclass
class Written:
    """Music as it is written; rows of tables begin with bar and ticks after the bar's beginning.

    Attributes:
        ppq: ticks per quarter note.
        bars: all bars.
        tracks: instruments.
        notes: bar, tick, duration, pitch, velocity, track, whether it is tied to the next, to the one before.
        tempos, time_signatures, key_signatures, controls, texts: rows as in the tables of a Score.
        headings: kind and text of what is said of the whole piece.
        sections: spans of bars in the order in which they are played, each with its own repeats; empty for all.
    """

    ppq: int
    bars: list[Bar] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)
    notes: list[tuple[int, ...]] = field(default_factory=list)
    tempos: list[tuple[int, ...]] = field(default_factory=list)
    time_signatures: list[tuple[int, ...]] = field(default_factory=list)
    key_signatures: list[tuple[int, ...]] = field(default_factory=list)
    controls: list[tuple[int, ...]] = field(default_factory=list)
    texts: list[tuple[int, int, str, str, int]] = field(default_factory=list)
    headings: list[tuple[str, str]] = field(default_factory=list)
    sections: list[range] = field(default_factory=list)


def resolution(divisions: Iterable[int]) -> int:
    """Return ticks per quarter, at least 96, that hold these divisions of a quarter exactly, if MIDI can.

    Example:
        >>> resolution([4, 6]), resolution([])
        (96, 96)
    """
    ppq = lcm(*divisions)
    if not 0 < ppq <= _LARGEST_PPQ:
        return _PPQ_OTHERWISE
    return ppq * -(-_SMALLEST_PPQ // ppq)


def play(written: Written, *, repeats: bool = True) -> Score:
    """Return the Score of written music.

    Args:
        written: what a reader found.
        repeats: play them; otherwise every bar sounds once, in the order it is written.

    Raises:
        FormatError: repeats play more than ``MAX_BARS`` bars, or the piece is too long.
    """
    order = _order(written) if repeats else list(range(len(written.bars)))
    lengths = np.array([written.bars[bar].length_tick for bar in order], np.int64)
    starts = np.cumsum(lengths) - lengths
    if len(lengths) and starts[-1] + lengths[-1] > MAX_TICK // 2:
        raise FormatError(f"the piece is longer than {MAX_TICK // 2} ticks")
    way = _Way(np.array(order, np.int64), starts)
    tick, duration, pitch, velocity, track, tied, is_tied_to = way.rows(written.notes, 8)
    end, kept = _join_ties(track * 128 + pitch, tick, tick + duration, tied > 0, is_tied_to > 0)
    columns = (tick, end - tick, pitch, velocity, track)
    notes = notes_in_order(*(column[kept].astype(np.int32) for column in columns))
    metres = _with_restated(way.states(written.time_signatures, 4), starts, lengths, written.ppq)
    return Score(
        written.ppq,
        notes,
        tuple(written.tracks),
        tempos=Tempos(*_changes(way.states(written.tempos, 3))),
        time_signatures=TimeSignatures(*metres),
        key_signatures=KeySignatures(*_changes(way.states(written.key_signatures, 4))),
        controls=Controls(*way.rows(written.controls, 5)).in_order(),
        texts=_texts(written, way),
    )


def _texts(written: Written, way: "_Way") -> Texts:
    tick, place = way.rows([(*row[:2], place) for place, row in enumerate(written.texts)], 3)
    rows = [(0, kind, text, WHOLE_PIECE) for kind, text in written.headings]
    rows += [(at, *written.texts[row][2:]) for at, row in zip(tick.tolist(), place.tolist(), strict=True)]
    return Texts(*zip(*rows, strict=True)).in_order() if rows else Texts((), (), (), ())


def order_of_bars(bars: list[Bar]) -> list[int]:
    """Return the bars in the order in which they are played.

    Raises:
        FormatError: they would be more than ``MAX_BARS``.

    Example:
        >>> order_of_bars([Bar(), Bar(plays=2, endings=frozenset({1})), Bar(endings=frozenset({2}))])
        [0, 1, 0, 2]
    """
    last_ending = _last_endings(bars)
    order: list[int] = []
    at, begin, time, has_jumped = 0, 0, 1, False
    while at < len(bars):
        bar = bars[at]
        if bar.forward and at != begin or not bar.endings and at and bars[at - 1].endings:
            begin, time = (at, 1) if at != begin else (begin, time)
        if bar.endings and (last_ending[at] if has_jumped else time) not in bar.endings:
            at += 1
            continue
        order.append(at)
        if len(order) > MAX_BARS:
            raise FormatError(f"repeats play more than {MAX_BARS} bars")
        if has_jumped and bar.fine:
            break
        coda = next((place for place, other in enumerate(bars) if other.coda and place > at), None)
        if has_jumped and bar.to_coda and coda is not None:
            at = begin = coda
            continue
        if bar.plays and not has_jumped:
            if time < max(bar.plays, last_ending[at]):
                at, time = begin, time + 1
                continue
            begin, time = at + 1, 1
        if (bar.da_capo or bar.dal_segno) and not has_jumped:
            segno = next((place for place, other in enumerate(bars) if other.segno), 0)
            at = begin = segno if bar.dal_segno else 0
            has_jumped = True
            continue
        at += 1
    return order


def _order(written: Written) -> list[int]:
    order: list[int] = []
    for section in written.sections or [range(len(written.bars))]:
        order += [section.start + bar for bar in order_of_bars(written.bars[section.start : section.stop])]
        if len(order) > MAX_BARS:
            raise FormatError(f"repeats play more than {MAX_BARS} bars")
    return order


def _last_endings(bars: list[Bar]) -> list[int]:
    """Return the highest number among the volte that each bar's volta stands beside; 0 outside."""
    result = [0] * len(bars)
    for at_a_time in (range(len(bars)), range(len(bars) - 1, -1, -1)):
        group = 0
        for place in at_a_time:
            group = max(group, result[place], *bars[place].endings) if bars[place].endings else 0
            result[place] = group
    return result


class _Way:
    """From places in written bars to ticks in played ones."""

    def __init__(self, order: np.ndarray, starts: np.ndarray) -> None:
        self.order, self.starts = order, starts

    def rows(self, rows: list[tuple[int, ...]], width: int) -> list[np.ndarray]:
        """Return the tick and the other columns of rows, once for each time that their bar is played."""
        table = np.array(rows, np.int64).reshape(-1, width)
        table = table[np.argsort(table[:, 0], kind="stable")]
        first = np.searchsorted(table[:, 0], self.order)
        count = np.searchsorted(table[:, 0], self.order, side="right") - first
        place = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
        tick = table[place, 1] + np.repeat(self.starts, count)
        return [tick, *table[place, 2:].T]

    def states(self, rows: list[tuple[int, ...]], width: int) -> list[np.ndarray]:
        """Return the columns of rows that hold from their place on, restored where bars do not follow each other."""
        jumps = np.flatnonzero(np.diff(self.order) != 1) + 1
        restored = []
        ordered = sorted(rows, key=lambda row: row[:2])
        for jump in jumps.tolist():
            before = [row for row in ordered if row[0] < self.order[jump]]
            if before:
                restored.append((int(self.starts[jump]), *before[-1][2:]))
        at = np.array(restored, np.int64).reshape(-1, width - 1)
        columns = [np.concatenate(pair) for pair in zip(at.T, self.rows(rows, width), strict=True)]
        # stable: what stands at the place itself comes after what is restored there, and holds
        order = np.argsort(columns[0], kind="stable")
        return [column[order] for column in columns]


def _changes(columns: list[np.ndarray]) -> list[np.ndarray]:
    """Leave out of a table of states what is overwritten at its tick and what changes nothing."""
    tick = columns[0]
    table = np.stack(columns, axis=1)[np.append(tick[1:] != tick[:-1], True)[: len(tick)]]
    changed = np.ones(len(table), bool)
    changed[1:] = (table[1:, 1:] != table[:-1, 1:]).any(axis=1)
    return list(table[changed].T)


def _with_restated(columns: list[np.ndarray], starts: np.ndarray, lengths: np.ndarray, ppq: int) -> list[np.ndarray]:
    """Return time signatures, stated again at whole bars that begin where the metre would not let them."""
    tick, upper, lower = _changes(columns)
    rows, restated = list(zip(tick.tolist(), upper.tolist(), lower.tolist(), strict=True)), []
    place, since = -1, 0
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        while place + 1 < len(rows) and rows[place + 1][0] <= start:
            place += 1
            since = rows[place][0]
        if place < 0:
            continue
        _, numerator, denominator = rows[place]
        whole = 4 * ppq * numerator // denominator
        if whole and length == whole and (start - since) % whole:
            restated.append((start, numerator, denominator))
            since = start
    table = np.array(sorted({*rows, *restated}), np.int64).reshape(-1, 3)
    return list(table.T)


def _join_ties(
    key: np.ndarray, onset: np.ndarray, end: np.ndarray, is_tied: np.ndarray, is_tied_to: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the end of each note with all that is tied to it, and which notes begin one.

    A note is tied to one of its pitch and track, its ``key``, that begins where it ends.
    """
    ties, targets = np.flatnonzero(is_tied & (end > onset)), np.flatnonzero(is_tied_to & (end > onset))
    places = np.concatenate([key[ties] << 32 | end[ties], key[targets] << 32 | onset[targets]])
    codes = np.unique(places, return_inverse=True)[1].astype(np.int64)
    ranked = [_ranked(part, len(places) + 1) for part in (codes[: len(ties)], codes[len(ties) :])]
    _, of_tie, of_target = np.intersect1d(*ranked, assume_unique=True, return_indices=True)
    last = np.arange(len(key))
    last[ties[of_tie]] = targets[of_target]
    is_begin = np.ones(len(key), bool)
    is_begin[targets[of_target]] = False
    while not np.array_equal(further := last[last], last):
        last = further
    return end[last], is_begin


def _ranked(codes: np.ndarray, width: int) -> np.ndarray:
    """Return a number for each code that tells equal ones apart by their order."""
    order = np.argsort(codes, kind="stable")
    rank = np.empty(len(codes), np.int64)
    rank[order] = np.arange(len(codes)) - np.searchsorted(codes[order], codes[order])
    return codes * width + rank
