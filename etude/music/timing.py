"""Ticks, seconds, beats and bars of a score: one tempo map, numpy only.

Without a tempo event a piece runs at 120 quarter notes a minute, without a time signature in 4/4, as
MIDI says. Bars and beats count from 0. A time signature in the middle of a bar starts a new bar there.
A bar is longer than no tick, so odd signatures (0/4, or bars shorter than a tick) count as one tick.
"""

import numpy as np

from etude.music.score import Score, Tempos, TimeSignatures

DEFAULT_US_PER_QUARTER = 500_000
"""120 quarter notes a minute."""


class TempoMap:
    """The way between ticks and seconds.

    Times before tick 0 and after the last tempo go on at the tempo next to them.

    Example:
        >>> tempos = Tempos.of(tick=[0, 480], us_per_quarter=[500_000, 1_000_000])
        >>> TempoMap(tempos, ppq=480).tick_to_sec([0, 480, 960])
        array([0. , 0.5, 1.5])
    """

    def __init__(self, tempos: Tempos, ppq: int) -> None:
        """Sum up the seconds at every change of tempo."""
        tick, us_per_quarter = _last_of_each_tick(tempos.tick, tempos.us_per_quarter)
        if not len(tick) or tick[0] > 0:
            tick, us_per_quarter = np.append(0, tick), np.append(DEFAULT_US_PER_QUARTER, us_per_quarter)
        self.tick = tick.astype(np.int64)
        # [us / quarter] / [ticks / quarter] = [us / tick]; a tempo of 0 would stop time from being invertible
        self._sec_per_tick = np.maximum(us_per_quarter, 1) / (ppq * 1e6)
        self.sec = np.zeros(len(tick))
        if len(tick) > 1:
            np.cumsum((self.tick[1:] - self.tick[:-1]) * self._sec_per_tick[:-1], out=self.sec[1:])

    def tick_to_sec(self, tick: np.ndarray) -> np.ndarray:
        """Return seconds, float64, of ticks of any shape; fractions of a tick are allowed."""
        tick = np.asarray(tick)
        if len(self.tick) == 1:
            since = tick - self.tick[0] if self.tick[0] else tick
            return since * self._sec_per_tick[0]
        part = np.maximum(np.searchsorted(self.tick, tick, side="right") - 1, 0)
        return self.sec[part] + (tick - self.tick[part]) * self._sec_per_tick[part]

    def sec_to_tick(self, sec: np.ndarray) -> np.ndarray:
        """Return ticks, int64, nearest to seconds of any shape."""
        return np.rint(self.sec_to_fractional_tick(sec)).astype(np.int64)

    def sec_to_fractional_tick(self, sec: np.ndarray) -> np.ndarray:
        """Return ticks, float64, at seconds of any shape."""
        sec = np.asarray(sec, np.float64)
        part = np.maximum(np.searchsorted(self.sec, sec, side="right") - 1, 0)
        return self.tick[part] + (sec - self.sec[part]) / self._sec_per_tick[part]


class BarMap:
    """The way between ticks, bars and beats.

    A beat is one note of the signature's denominator: 6/8 has six.

    Example:
        >>> signatures = TimeSignatures.of(tick=[0, 3840], numerator=[4, 3], denominator=[4, 4])
        >>> BarMap(signatures, ppq=480).tick_to_bar([0, 1919, 1920, 3840, 5280])
        array([0, 0, 1, 2, 3])
    """

    def __init__(self, time_signatures: TimeSignatures, ppq: int) -> None:
        """Count the bars at every change of metre."""
        tick, numerator, denominator = _last_of_each_tick(
            time_signatures.tick, time_signatures.numerator, time_signatures.denominator
        )
        if not len(tick) or tick[0] > 0:
            tick = np.concatenate([[0], tick])
            numerator, denominator = np.concatenate([[4], numerator]), np.concatenate([[4], denominator])
        self.tick = tick.astype(np.int64)
        self.numerator = np.maximum(numerator, 1).astype(np.int64)
        # [ticks / whole note] / [beats / whole note] = [ticks / beat]
        self.beat_tick = 4.0 * ppq / np.maximum(denominator, 1)
        self.bar_tick = np.maximum(self.beat_tick * self.numerator, 1.0)
        self.beat_tick = self.bar_tick / self.numerator
        # the last bar before a change may be cut short: it counts as a whole one
        bars = np.ceil(np.diff(self.tick) / self.bar_tick[:-1] - 1e-9).astype(np.int64)
        self.bar = np.concatenate([[0], np.cumsum(bars)])

    def _part(self, tick: np.ndarray) -> np.ndarray:
        return np.maximum(np.searchsorted(self.tick, tick, side="right") - 1, 0)

    def tick_to_bar(self, tick: np.ndarray) -> np.ndarray:
        """Return the bar, int64 from 0, that holds each tick."""
        tick = np.asarray(tick)
        part = self._part(tick)
        return self.bar[part] + np.floor((tick - self.tick[part]) / self.bar_tick[part] + 1e-9).astype(np.int64)

    def tick_to_beat(self, tick: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the bar, int64, and the beat within it, float64 from 0, of each tick."""
        tick = np.asarray(tick)
        part = self._part(tick)
        bar = self.tick_to_bar(tick)
        in_bar_tick = tick - (self.tick[part] + (bar - self.bar[part]) * self.bar_tick[part])
        return bar, np.maximum(in_bar_tick, 0.0) / self.beat_tick[part]

    def bar_to_tick(self, bar: np.ndarray) -> np.ndarray:
        """Return the tick, int64, at which each bar begins."""
        bar = np.asarray(bar)
        part = np.maximum(np.searchsorted(self.bar, bar, side="right") - 1, 0)
        return np.rint(self.tick[part] + (bar - self.bar[part]) * self.bar_tick[part]).astype(np.int64)

    def bar_starts(self, end_tick: int) -> np.ndarray:
        """Return the ticks, int64, of all bars that begin before ``end_tick``; at least the first."""
        count = int(self.tick_to_bar(max(int(end_tick) - 1, 0))) + 1
        return self.bar_to_tick(np.arange(count))


def bar_starts(score: Score) -> np.ndarray:
    """Return the tick, int64, at which each bar of a score begins, up to the end of its last note."""
    notes = score.notes
    end_tick = int((notes.onset_tick.astype(np.int64) + notes.duration_tick).max(initial=0))
    return BarMap(score.time_signatures, score.ppq).bar_starts(end_tick)


def _last_of_each_tick(tick: np.ndarray, *values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Keep of several rows at one tick the last, which is the one that holds."""
    if len(tick) < 2:
        return tick, *values
    keep = np.append(tick[1:] != tick[:-1], True)
    return tick[keep], *(column[keep] for column in values)
