"""What a tokenizer loses of a piece, measured: the piece is encoded, decoded, and compared with what comes back.

Nothing is asked of the tokenizer but ``encode`` and ``decode``, so any scheme, also one from outside, is measured
alike. Notes are paired as ``loss_matching`` says; errors are those of the pairs, what comes back less what was
there, and times are read on the clock that the ids keep, so a lost tempo is a wrong tempo and no wrong onset.

    lost        notes that have no partner: drums, those doubled (another note strikes that key within 50 ms), others
    added       notes that come back and have no partner
    cut         notes that come back and end 0.2 s or more too early
    velocity    steps of 1 to 127
    pedal       how often the sustain pedal goes down; where it is gone and lengths fit better to how long notes sound
                than to how long keys are held, ``ends`` is "pedal", and durations are measured against that
"""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from etude.music.overlaps import next_strike_tick
from etude.music.score import Score
from etude.music.sustain import sustained_end_tick
from etude.tokens.loss_matching import (
    DRUMS,
    Clock,
    ClockKind,
    clock_of,
    kind_of_notes,
    nearest_sec,
    same_notes,
    settled,
)
from etude.tokens.loss_tables import Kept, kept_rows, presses, tempo_error

DOUBLED_SEC = 0.05
CUT_SEC = 0.2


class NoteCounts(NamedTuple):
    """How many notes there were, and what became of them; see the module's header."""

    before: int
    kept: int
    lost_drums: int
    lost_doubled: int
    lost_other: int
    added: int
    cut: int
    same_instrument: int


class Size(NamedTuple):
    """How large errors are, whatever their sign."""

    median: float
    p95: float
    max: float


@dataclass(frozen=True)
class NoteErrors:
    """Errors of each note that came back, in one order; what came back less what was there; float64 and int64."""

    onset_sec: np.ndarray
    onset_tick: np.ndarray
    duration_sec: np.ndarray
    duration_tick: np.ndarray
    velocity: np.ndarray

    def sizes(self) -> dict[str, Size]:
        """Return how large they are, seconds as milliseconds."""
        columns = {
            "onset_ms": self.onset_sec * 1000,
            "onset_tick": self.onset_tick,
            "duration_ms": self.duration_sec * 1000,
            "duration_tick": self.duration_tick,
            "velocity": self.velocity,
        }
        return {name: _size(values) for name, values in columns.items()}


@dataclass(frozen=True)
class Losses:
    """What was lost of one piece.

    Attributes:
        loses: what the tokenizer says that its ids do not tell.
        clock: how times of what came back were read; its ``kind`` is what the ids keep, "seconds" or "quarters",
            its ``before`` and ``after`` are the piece and what came back.
        ends: "keys", or "pedal" where the pedal has gone into the lengths of notes.
        notes: counts.
        errors: of notes, one by one.
        tempo_error: how far tempos are off, a mean over time, as a share.
        tables: rows of each table that came back.
        num_ids: ids of the piece, or rows of ids; 0 where two pieces were compared.
    """

    loses: tuple[str, ...]
    clock: Clock = field(repr=False)
    ends: str
    notes: NoteCounts
    errors: NoteErrors = field(repr=False)
    tempo_error: float
    tables: dict[str, Kept]
    num_ids: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as JSON holds them; ticks are those of the piece."""
        return {
            "loses": list(self.loses),
            "clock": self.clock.kind,
            "silence_sec": self.clock.silence_sec,
            "ends": self.ends,
            "notes": self.notes._asdict(),
            **{name: size._asdict() for name, size in self.errors.sizes().items()},
            "tempo_error": self.tempo_error,
            "seconds": {"before": self.clock.before.duration_sec, "after": self.clock.after.duration_sec},
            "num_ids": self.num_ids,
            **{name: kept._asdict() for name, kept in self.tables.items()},
        }

    def __str__(self) -> str:
        """Return a few lines for a person."""
        notes, sizes = self.notes, self.errors.sizes()
        lost = {"drums": notes.lost_drums, "doubled": notes.lost_doubled, "others": notes.lost_other}
        rows = {
            "loses": ", ".join(self.loses) or "nothing of a piece's parts",
            "notes": f"{notes.kept:,} of {notes.before:,} kept",
            "lost": ", ".join(f"{name} {count:,}" for name, count in lost.items() if count),
            "added": f"{notes.added:,}" * bool(notes.added),
            "cut short": f"{notes.cut:,}" * bool(notes.cut),
            "onset": _said(sizes["onset_ms"], "ms"),
            "duration": _said(sizes["duration_ms"], "ms"),
            "velocity": _said(sizes["velocity"], ""),
            "tempo": f"{self.tempo_error:.1%} off",
        } | {name: f"{row.kept:,} of {row.before:,} kept" for name, row in self.tables.items() if row.before}
        return "\n".join(f"{name:<10} {value}" for name, value in rows.items() if value)


def report(tokenizer: Any, score: Score) -> Losses:
    """Return what a tokenizer loses of a piece; a tokenizer's method of that name.

    Raises:
        TokenError: the tokenizer refuses the piece.

    Example:
        >>> from etude.tokens import build_tokenizer
        >>> lost = report(build_tokenizer("performance"), Score.of([0, 483], [480, 480], [60, 64], [83, 81]))
        >>> lost.notes.kept, lost.errors.velocity.tolist(), lost.tables["metres"].before
        (2, [-3, -1], 0)
    """
    loses = tuple(getattr(tokenizer, "loses", ()))
    # of ids without tempo and metre seconds are likelier to be meant
    prefer = "seconds" if {"tempo", "metre"} <= set(loses) else "quarters"
    ids = tokenizer.encode(score)
    return replace(compare(score, tokenizer.decode(ids), loses=loses, prefer=prefer), num_ids=len(ids))


def compare(before: Score, after: Score, *, loses: tuple[str, ...] = (), prefer: ClockKind = "quarters") -> Losses:
    """Return what one piece has lost in another that was made from it.

    Args:
        before: the piece.
        after: what came back.
        loses: what is known to be left out.
        prefer: the clock, where notes are equally near on both.
    """
    clock = clock_of(before, after, prefer=prefer)
    onset_sec = clock.sec(after.notes.onset_tick)
    rows, matched = same_notes(before, after, before.onset_sec, onset_sec)
    if clock.shift and len(rows):
        clock = settled(clock, rows, matched)
        onset_sec = clock.sec(after.notes.onset_tick)
    errors, ends = _errors(clock, rows, matched, onset_sec)
    return Losses(
        loses=loses,
        clock=clock,
        ends=ends,
        notes=_counts(clock, rows, matched, errors),
        errors=errors,
        tempo_error=tempo_error(clock),
        tables=kept_rows(clock) | {"drums": _kept_drums(clock, rows, matched)},
    )


def loss_line(tokenizer: Any) -> str:
    """Return what a tokenizer leaves out, as the end of a sentence.

    Example:
        >>> from etude.tokens import build_tokenizer
        >>> loss_line(build_tokenizer("performance", drums="keep"))
        'leaves out tempo, metre, key, tracks, programs, controls and texts'
    """
    words = list(getattr(tokenizer, "loses", ()))
    if not words:
        return "leaves nothing out"
    return "leaves out " + " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _errors(clock: Clock, rows: np.ndarray, matched: np.ndarray, onset_sec: np.ndarray) -> tuple[NoteErrors, str]:
    before, after = clock.before, clock.after
    own, other = before.notes, after.notes
    onset_tick = clock.tick(other.onset_tick[matched])
    end_tick = other.onset_tick[matched].astype(np.int64) + other.duration_tick[matched]
    end = clock.sec(end_tick), clock.tick(end_tick)
    held_tick = own.onset_tick.astype(np.int64) + own.duration_tick
    ends = {"keys": held_tick}
    if len(rows) and len(presses(before)) and not len(presses(after)):
        ends["pedal"] = _sounding_end_tick(before, held_tick)
    found = {
        name: (
            (end[0] - onset_sec[matched]) - (before.tempo_map.tick_to_sec(tick) - before.onset_sec)[rows],
            (end[1] - onset_tick) - (tick - own.onset_tick)[rows],
        )
        for name, tick in ends.items()
    }
    name = min(found, key=lambda name: np.minimum(np.abs(found[name][0]), 1.0).sum())
    return (
        NoteErrors(
            onset_sec=onset_sec[matched] - before.onset_sec[rows],
            onset_tick=onset_tick - own.onset_tick[rows],
            duration_sec=found[name][0],
            duration_tick=found[name][1],
            velocity=other.velocity[matched].astype(np.int64) - own.velocity[rows],
        ),
        name,
    )


def _sounding_end_tick(score: Score, held_tick: np.ndarray) -> np.ndarray:
    """Return when notes fall silent: the pedal comes up, or their key is struck again."""
    ends = sustained_end_tick(score.controls, held_tick, score.notes.track if len(score.tracks) > 1 else None)
    return np.maximum(np.minimum(ends, next_strike_tick(score.notes)), held_tick)


def _counts(clock: Clock, rows: np.ndarray, matched: np.ndarray, errors: NoteErrors) -> NoteCounts:
    before, notes = clock.before, clock.before.notes
    kinds, other_kinds = kind_of_notes(before), kind_of_notes(clock.after)
    lost = np.ones(len(notes), bool)
    lost[rows] = False
    lost = np.flatnonzero(lost)
    drums = kinds[lost] == DRUMS
    rest = lost[~drums]
    own_sec = before.onset_sec
    doubled = nearest_sec(notes.pitch[rest], own_sec[rest], notes.pitch[rows], own_sec[rows]) <= DOUBLED_SEC
    return NoteCounts(
        before=len(notes),
        kept=len(rows),
        lost_drums=int(drums.sum()),
        lost_doubled=int(doubled.sum()),
        lost_other=len(rest) - int(doubled.sum()),
        added=len(clock.after.notes) - len(matched),
        cut=int((errors.duration_sec <= -CUT_SEC).sum()),
        same_instrument=int((kinds[rows] == other_kinds[matched]).sum()),
    )


def _kept_drums(clock: Clock, rows: np.ndarray, matched: np.ndarray) -> Kept:
    drums, after_drums = (kind_of_notes(score) == DRUMS for score in (clock.before, clock.after))
    return Kept(int(drums.sum()), int((drums[rows] & after_drums[matched]).sum()), int(after_drums.sum()))


def _size(values: np.ndarray) -> Size:
    if not len(values):
        return Size(0.0, 0.0, 0.0)
    values = np.abs(values)
    return Size(*(float(value) for value in np.percentile(values, (50, 95))), float(values.max()))


def _said(size: Size, unit: str) -> str:
    return f"half within {size.median:.3g}, 95% within {size.p95:.3g}, at most {size.max:.3g} {unit}".rstrip()
