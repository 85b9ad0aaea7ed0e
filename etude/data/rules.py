"""What rules measure of a piece, each measure computed once when a rule asks for it.

Drums count in time and loudness: notes, families, length, silence, notes a second, velocity. They do not count
in programs, note lengths, pitches, entropies and sections. What is not there measures 0, so a piece of drums
alone has 0 pitches.

A time is a whole number of microseconds where notes are counted in windows or bins, so that rounding moves no
note over an edge. A window holds the notes that begin in it: those at its start, not those at its end. It may
begin anywhere, not on a grid only.
"""

from collections.abc import Callable
from functools import cached_property
from math import inf
from typing import NamedTuple

import numpy as np

from etude.music.families import family_of
from etude.music.score import Score

BIN_SEC, LAST_BIN_SEC = 0.01, 5.0
"""Note lengths and intervals are told apart to 10 ms, up to 5 s."""

SECTIONS = 5
RAREST = 1e-5
"""Share of a section's notes that a pitch has at least when sections are compared."""

_US = 1_000_000


class Measures:
    """Measures of one piece that has notes."""

    def __init__(self, score: Score) -> None:
        """Keep the piece; nothing is computed yet."""
        self._score = score

    # instruments

    @cached_property
    def _sounding(self) -> list:
        """The tracks that have notes."""
        counts = np.bincount(self._score.notes.track, minlength=len(self._score.tracks))
        return [track for track, count in zip(self._score.tracks, counts.tolist(), strict=True) if count]

    def programs(self) -> float:
        """Return how many programs play."""
        return len({track.program for track in self._sounding if not track.is_drum})

    def families(self) -> float:
        """Return how many families of instruments play, drums being one."""
        return len({family_of(track.program, is_drum=track.is_drum) for track in self._sounding})

    # time and loudness

    def notes(self) -> float:
        """Return the number of notes."""
        return len(self._score.notes)

    def hours(self) -> float:
        """Return when the last note ends, in hours from the start of the file."""
        return self._score.duration_sec / 3600

    def length_sec(self) -> float:
        """Return the time from the first onset to the last end of a note."""
        return self._score.duration_sec - float(self._score.onset_sec[0])

    def silence_sec(self) -> float:
        """Return the longest time between notes in which no key is down; the pedal does not count."""
        quiet = self._score.onset_sec[1:] - np.maximum.accumulate(self._score.offset_sec)[:-1]
        return float(quiet.max(initial=0.0))

    def notes_per_sec(self) -> float:
        """Return notes over length; a length under a millisecond counts as one."""
        return self.notes() / max(self.length_sec(), 1e-3)

    def notes_per_sec_per_family(self) -> float:
        """Return notes a second over the number of families."""
        return self.notes_per_sec() / self.families()

    def mean_velocity(self) -> float:
        """Return the mean velocity."""
        return float(self._score.notes.velocity.mean())

    def notes_per_sec_in_window(self, window_sec: float) -> float:
        """Return the notes of the window with the most, over its length."""
        onset_us = np.rint(self._score.onset_sec * _US).astype(np.int64)
        return _most_in_a_window(onset_us, window_sec) / window_sec

    # pitch and note length, without drums

    @cached_property
    def _pitched(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Onset and duration in microseconds, int64, and pitch of the notes that are no drums."""
        score = self._score
        onset_us, offset_us = (np.rint(sec * _US).astype(np.int64) for sec in (score.onset_sec, score.offset_sec))
        columns = onset_us, offset_us - onset_us, score.notes.pitch
        if not any(track.is_drum for track in self._sounding):
            return columns
        rows = ~np.array([track.is_drum for track in score.tracks])[score.notes.track]
        return columns[0][rows], columns[1][rows], columns[2][rows]

    @cached_property
    def _by_pitch(self) -> np.ndarray:
        """The order of the pitched notes by pitch, then onset."""
        return np.argsort(self._pitched[2].astype(np.uint8), kind="stable")

    def mean_duration_sec(self) -> float:
        """Return the mean length of a note."""
        duration_us = self._pitched[1]
        return float(duration_us.mean()) / _US if len(duration_us) else 0.0

    def pitches(self) -> float:
        """Return how many pitches there are."""
        return int(np.count_nonzero(np.bincount(self._pitched[2])))

    @cached_property
    def _same_pitch_before_us(self) -> np.ndarray:
        """The onset of the note of the same pitch before each pitched note, int64; the lowest number if none is."""
        onset, _, pitch = self._pitched
        before = np.full(len(onset), np.iinfo(np.int64).min)
        row, earlier = self._by_pitch[1:], self._by_pitch[:-1]
        is_same = pitch[row] == pitch[earlier]
        before[row[is_same]] = onset[earlier[is_same]]
        return before

    def pitches_in_window(self, window_sec: float) -> float:
        """Return the pitches of the window with the fewest; one that the piece does not fill is the whole piece."""
        onset = self._pitched[0]
        if not len(onset):
            return 0
        length = round(window_sec * _US)
        # a note is the first of its pitch in every window that begins after `since` and not after its onset
        since = np.sort(np.maximum(self._same_pitch_before_us, onset - length))
        last_start = max(onset[0], onset[-1] - length)
        # the fewest are where the piece begins, or as soon as a window has left a note behind
        left = np.flatnonzero(np.diff(onset[: np.searchsorted(onset, last_start) + 1])) + 1
        starts = np.append(onset[0], onset[left - 1] + 1)
        firsts = np.searchsorted(since, starts) - np.append(0, left)
        return int(firsts.min())

    def repeats_per_sec_in_window(self, window_sec: float) -> float:
        """Return the notes of one pitch in the window with the most of them, over its length."""
        onset, _, pitch = self._pitched
        # pitch first: no tick of a Score is later than 2 ** 56 microseconds
        strikes = (pitch.astype(np.int64) << 56 | onset)[self._by_pitch]
        return _most_in_a_window(strikes, window_sec) / window_sec

    def duration_entropy_bits(self) -> float:
        """Return the entropy of the lengths of notes."""
        return _entropy_bits(np.bincount(_bins(self._pitched[1])))

    def interval_entropy_bits(self) -> float:
        """Return the entropy of the times from each onset to the next; notes of a chord are 0 apart."""
        return _entropy_bits(np.bincount(_bins(np.diff(self._pitched[0]))))

    def pitch_entropy_bits(self) -> float:
        """Return the entropy of the pitches."""
        return _entropy_bits(np.bincount(self._pitched[2]))

    def section_divergence_bits(self, from_minutes: float) -> float:
        """Return how far the two most different fifths of the piece are apart in their pitches.

        The fifths are equally long; the measure is the Kullback–Leibler divergence, the larger of both ways.
        A piece shorter than ``from_minutes`` is not measured: infinite.
        """
        if self.length_sec() < from_minutes * 60:
            return inf
        onset, _, pitch = self._pitched
        if not len(onset):
            return 0.0
        section = (onset - onset[0]) * SECTIONS // (onset[-1] - onset[0] + 1)
        counts = np.bincount(section * 128 + pitch, minlength=SECTIONS * 128).reshape(SECTIONS, 128)
        share = np.maximum(counts / np.maximum(counts.sum(1, keepdims=True), 1), RAREST)
        share /= share.sum(1, keepdims=True)
        bits = np.log2(share)
        return float(((share * bits).sum(1)[:, None] - share @ bits.T).max())


class Rule(NamedTuple):
    """A bound on a measure.

    Args:
        name: of the setting: ``min_…`` or ``max_…``; bounds themselves are allowed.
        measure: what is measured; of the piece, or of the piece and one more number.
        with_setting: the setting that is the other number; empty if there is none or each bound has its own.
    """

    name: str
    measure: Callable[..., float]
    with_setting: str = ""


RULES = (
    Rule("min_notes", Measures.notes),
    Rule("max_hours", Measures.hours),
    Rule("max_programs", Measures.programs),
    Rule("max_families", Measures.families),
    Rule("min_length_sec", Measures.length_sec),
    Rule("max_length_sec", Measures.length_sec),
    Rule("max_silence_sec", Measures.silence_sec),
    Rule("min_notes_per_sec", Measures.notes_per_sec),
    Rule("max_notes_per_sec", Measures.notes_per_sec),
    Rule("min_notes_per_sec_per_family", Measures.notes_per_sec_per_family),
    Rule("max_notes_per_sec_per_family", Measures.notes_per_sec_per_family),
    Rule("max_notes_per_sec_in_window", Measures.notes_per_sec_in_window),
    Rule("max_repeats_per_sec_in_window", Measures.repeats_per_sec_in_window),
    Rule("min_mean_velocity", Measures.mean_velocity),
    Rule("max_mean_velocity", Measures.mean_velocity),
    Rule("min_mean_duration_sec", Measures.mean_duration_sec),
    Rule("max_mean_duration_sec", Measures.mean_duration_sec),
    Rule("min_pitches", Measures.pitches),
    Rule("min_pitches_in_window", Measures.pitches_in_window),
    Rule("min_pitch_entropy_bits", Measures.pitch_entropy_bits),
    Rule("min_duration_entropy_bits", Measures.duration_entropy_bits),
    Rule("min_interval_entropy_bits", Measures.interval_entropy_bits),
    Rule("min_section_divergence_bits", Measures.section_divergence_bits, "sections_from_minutes"),
)
"""Every rule, in the order in which they are asked."""


def _most_in_a_window(onset_us: np.ndarray, window_sec: float) -> int:
    """Return the most onsets, which are in order, in any window; one that has the most begins with an onset."""
    ends = np.searchsorted(onset_us, onset_us + round(window_sec * _US))
    return int((ends - np.arange(len(onset_us))).max(initial=0))


def _bins(length_us: np.ndarray) -> np.ndarray:
    """Return the nearest bin of lengths, halves up."""
    bin_us = round(BIN_SEC * _US)
    return np.minimum((length_us + bin_us // 2) // bin_us, round(LAST_BIN_SEC / BIN_SEC))


def _entropy_bits(counts: np.ndarray) -> float:
    """Return the Shannon entropy of a histogram; 0 of an empty one."""
    counts = counts[counts > 0]
    if len(counts) < 2:
        return 0.0
    share = counts / counts.sum()
    return float(-(share * np.log2(share)).sum())
