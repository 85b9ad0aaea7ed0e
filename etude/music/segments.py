"""Pieces cut at bar lines: so many bars in turn, or some stretches at random.

Bars count from 0; a span is its first bar and the one after its last. A note that lasts beyond the last bar of a
segment ends with it; one that began before its first bar is not in it. Bars before the first note begins and after
the last one ends are left out, and so are segments in which no note begins.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from etude.music.score import Score
from etude.music.span import span_of
from etude.music.timing import BarMap
from etude.randomness import Index, permutation

_HAVE_TICKS = ("tempos", "time_signatures", "key_signatures", "controls", "pitch_bends", "texts")


class Segment(NamedTuple):
    """Some bars of a piece: ``first_bar``, the bar after the last one, and the music in them."""

    first_bar: int
    end_bar: int
    score: Score


def segments(
    score: Score,
    bars: int = 16,
    *,
    at_random: int | None = None,
    seed: int = 0,
    index: tuple[Index, ...] = (),
) -> list[Segment]:
    """Cut a piece into segments.

    Args:
        score: the piece.
        bars: bars in a segment, from 1; the last one in turn may have fewer, and so does a piece that has fewer.
        at_random: so many different stretches anywhere in the piece, or as many as there are; None for one after the
            other.
        seed: of the stretches.
        index: what they depend on besides, such as a piece.

    Example:
        >>> score = Score.of([1920 * bar for bar in range(40)], [480] * 40, [60] * 40, ppq=480)
        >>> [part[:2] for part in segments(score, 16)]
        [(0, 16), (16, 32), (32, 40)]
        >>> [part[:2] for part in segments(score, 16, at_random=2, seed=1)]
        [(21, 37), (22, 38)]
    """
    if bars < 1:
        raise ValueError(f"bars = {bars}: expected 1 or more")
    if not len(score.notes):
        return []
    first, end = music_bars(score)
    if at_random is None:
        begins = np.arange(first, end, bars)
    else:
        begins = first + np.sort(permutation(max(end - first - bars, 0) + 1, seed, "segments", *index)[:at_random])
    spans = [(begin, min(begin + bars, end)) for begin in begins.tolist()]
    parts = [Segment(*span, cut_bars(score, *span)) for span in spans]
    return [part for part in parts if len(part.score.notes)]


def music_bars(score: Score) -> tuple[int, int]:
    """Return the first bar in which a note begins, and the bar after the last one in which a note sounds.

    Example:
        >>> music_bars(Score.of([3840], [2400], [60], ppq=480))
        (2, 4)
    """
    notes = score.notes
    last = np.maximum(notes.onset_tick.astype(np.int64) + notes.duration_tick - 1, notes.onset_tick)
    bar_map = BarMap(score.time_signatures, score.ppq)
    return int(bar_map.tick_to_bar(notes.onset_tick[0])), int(bar_map.tick_to_bar(last.max())) + 1


def cut_bars(score: Score, first_bar: int, end_bar: int) -> Score:
    """Return some bars of a piece; the first one begins at tick 0.

    What holds where it begins, such as tempo, metre, key and pedal, is set there.

    Args:
        score: the piece.
        first_bar: counted from 0.
        end_bar: the bar after the last one, not before ``first_bar``.

    Example:
        >>> part = cut_bars(Score.of([0, 1920, 3840], [480, 4000, 480], [60, 62, 64], ppq=480), 1, 2)
        >>> part.notes.onset_tick, part.notes.duration_tick
        (array([0], dtype=int32), array([1920], dtype=int32))
    """
    if not 0 <= first_bar <= end_bar:
        raise ValueError(f"first_bar = {first_bar}, end_bar = {end_bar}: expected 0 <= first_bar <= end_bar")
    bar_map = BarMap(score.time_signatures, score.ppq)
    start, end = bar_map.bar_to_tick(np.array([first_bar, end_bar])).tolist()
    rows = np.searchsorted(score.notes.onset_tick, [start, end]).tolist()
    notes = score.notes.take(slice(*rows))
    duration = np.minimum(notes.duration_tick, end - notes.onset_tick.astype(np.int64))
    notes = notes.replace(onset_tick=notes.onset_tick - start, duration_tick=duration)
    tables = {name: span_of(getattr(score, name), start, end) for name in _HAVE_TICKS}
    return replace(score, notes=notes, **tables)
