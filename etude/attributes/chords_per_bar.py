"""Chords per bar: how often the harmony changes.

How long each pitch class sounds is counted in twelve slices of a bar, drums left out. A stretch of music is as well
explained by a chord as its best major or minor triad holds of its sounding time. Each bar is taken as one chord,
or as two, three or four as its metre allows, whichever explains most when every further chord costs a share of
the bar; then neighbours are one chord where a single triad explains both nearly as well as two do.

A rough count: no chord is named, sevenths and passing tones are not known apart, and what is no more than a line, or
longer than 10,000 bars, has no value. The music is the bars from the first to the last one in which a note begins.
"""

import numpy as np

from etude.attributes.bins import Bins
from etude.attributes.note_places import Span, counted, is_drum_note, span_of
from etude.attributes.polyphony import Polyphony
from etude.music.score import Score

_SLICES = 12
_COST = 0.06
"""The share of its sounding time that a further chord must explain."""
_FEWEST_AT_ONCE = 1.5
_MOST_BARS = 10_000

_TRIADS = np.zeros((24, 12))
for _tonic in range(12):
    _TRIADS[_tonic, [_tonic, (_tonic + 4) % 12, (_tonic + 7) % 12]] = 1
    _TRIADS[12 + _tonic, [_tonic, (_tonic + 3) % 12, (_tonic + 7) % 12]] = 1


def _sounding(score: Score, line: np.ndarray) -> np.ndarray:
    """Return how many ticks each pitch class sounds between neighbouring lines.

    Args:
        score: the piece.
        line: ascending ticks, (L + 1,).

    Returns:
        (L, 12) float64.
    """
    notes, pitched = score.notes, ~is_drum_note(score)
    onset = notes.onset_tick[pitched].astype(np.int64)
    offset = onset + notes.duration_tick[pitched]
    pitch_class = notes.pitch[pitched] % 12
    size = (len(line) + 1) * 12

    def before(tick: np.ndarray) -> np.ndarray:
        """Return the time from events to each line, added up over the events before it, (L + 1, 12)."""
        cell = np.searchsorted(line, tick) * 12 + pitch_class
        count = np.bincount(cell, minlength=size).reshape(-1, 12)[:-1].cumsum(0)
        total = np.bincount(cell, tick, minlength=size).reshape(-1, 12)[:-1].cumsum(0)
        return line[:, None] * count - total

    return np.maximum(np.diff(before(onset) - before(offset), axis=0), 0.0)


def _allowed(numerator: np.ndarray) -> dict[int, np.ndarray]:
    """Return into how many equal parts bars may fall, and which bars."""
    even = numerator % 2 == 0
    return {2: even, 4: even & (numerator != 6), 3: ~even & (numerator % 3 == 0)}


def _chords(score: Score, span: Span) -> int:
    """Return how many chords follow each other."""
    bar = np.arange(span.first_bar, span.last_bar + 2)
    start = span.bars.bar_to_tick(bar).astype(np.float64)
    line = start[:-1, None] + np.diff(start)[:, None] * np.arange(_SLICES) / _SLICES
    sounding = _sounding(score, np.append(line.ravel(), start[-1]))
    fit = (sounding @ _TRIADS.T).reshape(-1, _SLICES, len(_TRIADS))
    total = sounding.sum(1).reshape(-1, _SLICES).sum(1)
    part = np.maximum(np.searchsorted(span.bars.tick, start[:-1] + 1e-6, side="right") - 1, 0)
    parts = np.ones(len(total), np.int64)
    best = fit.sum(1).max(1)
    for count, bars in _allowed(span.bars.numerator[part]).items():
        pieces = fit.reshape(len(fit), count, -1, fit.shape[2]).sum(2).max(2).sum(1) - _COST * total * (count - 1)
        better = bars & (pieces > best + 1e-9 * total)
        best, parts = np.where(better, pieces, best), np.where(better, count, parts)
    # slices that begin a stretch: slice s of a bar in c parts does if s is a multiple of 12 / c
    begins = np.arange(_SLICES) % (_SLICES // parts)[:, None] == 0
    stretch = np.add.reduceat(fit.reshape(-1, fit.shape[2]), np.flatnonzero(begins), axis=0)
    held = np.add.reduceat(sounding.sum(1), np.flatnonzero(begins))
    stretch, held = stretch[held > 0], held[held > 0]
    alone, together = stretch.max(1), (stretch[1:] + stretch[:-1]).max(1)
    lost = alone[1:] + alone[:-1] - together
    return 1 + int((lost > _COST * (held[1:] + held[:-1])).sum())


class ChordsPerBar:
    """Changes of harmony, the first chord included, for each bar."""

    title = "chords per bar"
    unit = "chords per bar"
    meaning = "How many chords there are in a bar on average; 0.5 is one for every two bars."
    origin = "measured"
    transposed = "same"
    faster = "same"
    bins = Bins.of_edges(("few", "one", "two", "many"), (0.75, 1.5, 2.5))

    @staticmethod
    def measure(score: Score) -> float | None:
        """Return chords per bar, or None for drums, for a single line and without notes."""
        span = span_of(score)
        if span is None or span.num_bars > _MOST_BARS or (Polyphony.measure(score) or 0) < _FEWEST_AT_ONCE:
            return None
        return _chords(score, span) / span.num_bars

    @staticmethod
    def evidence(score: Score) -> str:
        """Say how many chords in how many bars."""
        per_bar = ChordsPerBar.measure(score)
        if per_bar is None:
            return "fewer than 1.5 pitched notes at once: no chords"
        bars = span_of(score).num_bars
        return f"{counted(round(per_bar * bars), 'chord')} in {counted(bars, 'bar')}"
