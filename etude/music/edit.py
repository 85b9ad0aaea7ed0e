"""Edits: a Score in, a new Score out; the one that goes in stays as it is.

A Score without problems (``check.check_score``) gives a Score without problems, or a ValueError that says
which value would leave its range. Nothing loops over notes. Ticks are exact wherever an edit does not say
that it rounds.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, lcm
from typing import Any

import numpy as np

from etude.music.check import MAX_TICK
from etude.music.overlaps import next_strike_tick
from etude.music.score import WHOLE_PIECE, Columns, Controls, Notes, PitchBends, Score, Texts
from etude.music.span import span_of
from etude.music.sustain import SUSTAIN, sustained_end_tick
from etude.music.timing import DEFAULT_US_PER_QUARTER

# what MIDI has three bytes and 15 bits for
_MAX_US_PER_QUARTER, _MAX_PPQ = 0xFFFFFF, 0x7FFF
_HAVE_TICKS = ("tempos", "time_signatures", "key_signatures", "controls", "pitch_bends", "texts")


def transpose(score: Score, semitones: int) -> Score:
    """Move every note that is not a drum, and the key signatures, by semitones.

    A key keeps its mode and gets at most six accidentals.

    Raises:
        ValueError: a pitch would leave 0 to 127; nothing is dropped.

    Example:
        >>> transpose(Score.of([0], [480], [60]), -12).notes.pitch
        array([48], dtype=int32)
    """
    is_drum = np.array([track.is_drum for track in score.tracks] or [False])
    notes, keys = score.notes, score.key_signatures
    pitch = notes.pitch.astype(np.int64) + np.where(is_drum[notes.track], 0, semitones)
    if len(pitch) and not 0 <= pitch.min() <= pitch.max() <= 127:
        raise ValueError(f"semitones = {semitones}: pitches would be {pitch.min()} to {pitch.max()}, expected 0 to 127")
    if semitones % 12:
        # a semitone up is seven fifths up, and twelve fifths are the same key again
        keys = keys.replace(sharps=(keys.sharps + 7 * (semitones % 12) + 5) % 12 - 5)
    return replace(score, notes=notes.replace(pitch=pitch), key_signatures=keys)


def stretch_time(score: Score, factor: float) -> Score:
    """Make a piece last ``factor`` times as long: tempos change, ticks stay.

    A tempo is rounded to a whole microsecond per quarter note.

    Raises:
        ValueError: the factor is not positive, or a tempo would leave 1 to 16,777,215 µs per quarter note.

    Example:
        >>> stretch_time(Score.of([0], [480], [60]), 2.0).duration_sec
        1.0
    """
    if not 0 < factor < inf:
        raise ValueError(f"factor = {factor}: expected a positive number")
    tempos = score.tempos
    if not len(tempos) or tempos.tick[0] > 0:
        tick = np.concatenate([[0], tempos.tick])
        us_per_quarter = np.concatenate([[DEFAULT_US_PER_QUARTER], tempos.us_per_quarter])
        tempos = tempos.replace(tick=tick, us_per_quarter=us_per_quarter)
    us_per_quarter = np.rint(tempos.us_per_quarter * float(factor))
    if not 1 <= us_per_quarter.min() <= us_per_quarter.max() <= _MAX_US_PER_QUARTER:
        raise ValueError(
            f"factor = {factor}: tempos would be {us_per_quarter.min():.0f} to {us_per_quarter.max():.0f} "
            f"microseconds per quarter note, expected 1 to {_MAX_US_PER_QUARTER}"
        )
    return replace(score, tempos=tempos.replace(us_per_quarter=us_per_quarter.astype(np.int32)))


def scale_velocity(score: Score, factor: float) -> Score:
    """Multiply every velocity by a factor, rounded and kept within 1 to 127.

    Raises:
        ValueError: the factor is negative or not a number.
    """
    if not 0 <= factor < inf:
        raise ValueError(f"factor = {factor}: expected 0 or a positive number")
    velocity = np.clip(np.rint(score.notes.velocity * float(factor)), 1, 127)
    return replace(score, notes=score.notes.replace(velocity=velocity.astype(np.int32)))


def trim(score: Score, start_sec: float, end_sec: float) -> Score:
    """Cut out a span of time; ``start_sec`` becomes 0.

    Notes that begin in the span are kept, and those that last longer end where it ends. Tempos, signatures,
    controllers and bends that hold at its start are set at tick 0, so a bar begins there. Controllers and
    bends at the very end are kept, so that a pedal that comes up there does.

    Args:
        score: the piece.
        start_sec: beginning of the span, from 0; taken to the nearest tick.
        end_sec: its end, not before its beginning; taken to the nearest tick; may be infinite.

    Raises:
        ValueError: the span begins before 0 or ends before it begins.

    Example:
        >>> part = trim(Score.of([0, 480, 960], [480, 960, 480], [60, 62, 64]), 0.5, 1.0)
        >>> part.notes.onset_tick, part.notes.duration_tick
        (array([0], dtype=int32), array([480], dtype=int32))
    """
    if not (0 <= start_sec <= end_sec and start_sec < inf):
        raise ValueError(f"start_sec = {start_sec}, end_sec = {end_sec}: expected 0 <= start_sec <= end_sec")
    latest_sec = float(score.tempo_map.tick_to_sec(MAX_TICK))
    ticks = score.tempo_map.sec_to_tick(np.minimum([start_sec, end_sec], latest_sec))
    start, end = (int(tick) for tick in np.clip(ticks, 0, MAX_TICK))
    if end_sec > latest_sec:
        end = MAX_TICK + 1
    notes = score.notes
    first, last = np.searchsorted(notes.onset_tick, [start, end])
    notes = notes.take(slice(int(first), int(last)))
    duration = np.minimum(notes.duration_tick, end - notes.onset_tick.astype(np.int64))
    notes = notes.replace(onset_tick=notes.onset_tick - start, duration_tick=duration)
    tables = {name: span_of(getattr(score, name), start, end) for name in _HAVE_TICKS}
    return replace(score, notes=notes, **tables)


def first_notes(score: Score, count: int) -> Score:
    """Keep the first notes, in the order of the Score, and what else there is up to their last end.

    Raises:
        ValueError: the count is negative.

    Example:
        >>> len(first_notes(Score.of([0, 480, 960], [480] * 3, [60, 62, 64]), 2).notes)
        2
    """
    if count < 0:
        raise ValueError(f"count = {count}: expected 0 or more notes")
    notes = score.notes.take(slice(0, count))
    end = int(_ends(notes).max(initial=0))
    return replace(score, notes=notes, **{name: span_of(getattr(score, name), 0, end) for name in _HAVE_TICKS})


def resample(score: Score, ppq: int) -> Score:
    """Express a piece in another number of ticks per quarter note.

    Every time goes to the nearest new tick, so it moves by half a tick at most. A note that would vanish is
    one tick long, so its end moves by one and a half at most. A multiple of the old number loses nothing.

    Raises:
        ValueError: the number is not one from 1 to 32,767, which MIDI can hold, or a tick would leave 31 bits.

    Example:
        >>> resample(Score.of([480], [240], [60], ppq=480), 96).notes.onset_tick
        array([96], dtype=int32)
    """
    if not 1 <= ppq <= _MAX_PPQ:
        raise ValueError(f"ppq = {ppq}: expected 1 to {_MAX_PPQ} ticks per quarter note")

    def scaled(tick: np.ndarray) -> np.ndarray:
        result = (tick.astype(np.int64) * (2 * ppq) + score.ppq) // (2 * score.ppq)
        if result.max(initial=0) > MAX_TICK:
            raise ValueError(f"ppq = {ppq}: a tick would be {result.max()}, expected at most {MAX_TICK}")
        return result

    notes = score.notes
    onset, end = scaled(notes.onset_tick), scaled(_ends(notes))
    duration = np.maximum(end - onset, notes.duration_tick > 0)
    if (onset + duration).max(initial=0) > MAX_TICK:
        raise ValueError(f"ppq = {ppq}: a note would end after tick {MAX_TICK}")
    tables = {name: getattr(score, name) for name in _HAVE_TICKS}
    tables = {name: table.replace(tick=scaled(table.tick)) for name, table in tables.items()}
    return replace(score, ppq=ppq, notes=notes.replace(onset_tick=onset, duration_tick=duration), **tables)


def select_tracks(score: Score, tracks: Sequence[int]) -> Score:
    """Keep some tracks, in the order given, with what belongs to them and to the whole piece.

    Raises:
        ValueError: a track does not exist or is named twice.

    Example:
        >>> score = Score.of([0, 0], [480, 480], [60, 40], track=[0, 1])
        >>> select_tracks(score, [1]).notes.pitch
        array([40], dtype=int32)
    """
    tracks = list(tracks)
    for track in tracks:
        if not 0 <= track < len(score.tracks) or tracks.count(track) > 1:
            raise ValueError(f"tracks = {tracks}: expected different numbers from 0 to {len(score.tracks) - 1}")
    place = np.full(len(score.tracks) + 1, -2)
    place[tracks] = np.arange(len(tracks))
    place[WHOLE_PIECE] = WHOLE_PIECE

    def kept(table: Columns) -> Any:
        new = place[table.track]
        return table.take(new != -2).replace(track=new[new != -2])

    return replace(
        score,
        tracks=tuple(score.tracks[track] for track in tracks),
        notes=kept(score.notes),
        controls=kept(score.controls),
        pitch_bends=kept(score.pitch_bends),
        texts=kept(score.texts),
    )


def merge(scores: Sequence[Score]) -> Score:
    """Let pieces sound together from tick 0 on: their tracks one after the other, in one Score.

    The resolution is the smallest that holds all times exactly, or, if MIDI cannot hold it, the finest of
    theirs. Tempos, time signatures and key signatures are those of the first piece that has any.

    Raises:
        ValueError: there is no piece, or a tick would leave 31 bits.
    """
    if not scores:
        raise ValueError("scores = []: expected at least one")
    ppqs = [score.ppq for score in scores]
    ppq = lcm(*ppqs) if lcm(*ppqs) <= _MAX_PPQ else min(max(ppqs), _MAX_PPQ)
    scores = [resample(score, ppq) for score in scores]
    starts = np.cumsum([0] + [len(score.tracks) for score in scores])

    def joined(cls: type[Columns], tables: list[Columns]) -> Any:
        columns = {name: [getattr(table, name) for table in tables] for name in cls.__dataclass_fields__}
        columns["track"] = [np.where(c < 0, c, c + s) for c, s in zip(columns["track"], starts[:-1], strict=True)]
        return cls.of(**{name: _laid_end_to_end(parts) for name, parts in columns.items()})

    def first(name: str) -> Any:
        return next((table for score in scores if len(table := getattr(score, name))), getattr(scores[0], name))

    return Score(
        ppq,
        joined(Notes, [score.notes for score in scores]),
        tuple(track for score in scores for track in score.tracks),
        first("tempos"),
        first("time_signatures"),
        first("key_signatures"),
        joined(Controls, [score.controls for score in scores]),
        joined(PitchBends, [score.pitch_bends for score in scores]),
        joined(Texts, [score.texts for score in scores]),
    )


def extend_by_pedal(score: Score) -> Score:
    """Let notes last as long as the sustain pedal holds them, and take its movements out.

    A note released while the pedal of its track is down (64 or more) ends when the pedal comes up, or when
    the same key is struck again later. A pedal that never comes up does so at the end of the last note or with the
    last movement of any pedal.

    Example:
        >>> pedal = Controls.of(tick=[0, 960], track=[0, 0], number=[64, 64], value=[127, 0])
        >>> extend_by_pedal(Score.of([0], [100], [60], controls=pedal)).notes.duration_tick
        array([960], dtype=int32)
    """
    notes, controls = score.notes, score.controls
    if not len(notes):
        return replace(score, controls=controls.take(controls.number != SUSTAIN))
    end = _ends(notes)
    held = sustained_end_tick(controls, end, notes.track)
    end = np.maximum(end, np.minimum(held, next_strike_tick(notes)))
    return replace(
        score,
        notes=notes.replace(duration_tick=end - notes.onset_tick),
        controls=controls.take(controls.number != SUSTAIN),
    )


def _ends(notes: Notes) -> np.ndarray:
    """Return the ends of notes in ticks, int64."""
    return notes.onset_tick.astype(np.int64) + notes.duration_tick


def _laid_end_to_end(parts: list) -> np.ndarray | tuple[str, ...]:
    if isinstance(parts[0], tuple):
        return tuple(text for part in parts for text in part)
    return np.concatenate(parts)
