"""A Score's notes and tempos on the grid of the `remi` tokenizer: the columns before they become ids."""

import numpy as np

from etude.errors import TokenError
from etude.music.score import Score
from etude.music.sustain import sustained_end_tick
from etude.tokens.remi_grid import Grid, even_places, places, positions, uneven_places
from etude.tokens.remi_ids import packed_notes
from etude.tokens.remi_key import shift_to_c
from etude.tokens.remi_notes import LONGEST_PIECE
from etude.tokens.remi_vocab import (
    DEFAULT_TEMPO,
    DRUMS,
    DURATION_OF,
    DURATIONS,
    UNITS_PER_POSITION,
    UNITS_PER_QUARTER,
    tempo_id,
)


def placed_notes(score: Score, grid: Grid, *, extend_by_pedal: bool, normalise_key: bool) -> np.ndarray:
    """Return the notes of a piece, packed and sorted, int64 (N,), as ``etude.tokens.remi_ids`` says.

    Args:
        score: with one note or more.
        grid: its bars.
        extend_by_pedal: notes last until the sustain pedal comes up.
        normalise_key: move the piece to C major or A minor.

    Raises:
        TokenError: a pitch, velocity, program or time outside MIDI, or a piece that is too long.
    """
    notes = score.notes
    _refuse_impossible(score)
    instrument = _instruments(score)
    end_tick = np.add(notes.onset_tick, notes.duration_tick, dtype=np.int64)
    if extend_by_pedal:
        end_tick = sustained_end_tick(score.controls, end_tick, notes.track if len(score.tracks) > 1 else None)
    place, unit, length = _timed(notes.onset_tick, end_tick, score.ppq, grid)
    # a note of no position gets one, and one that is too long the longest
    duration = DURATION_OF.take(length, mode="clip")
    pitch = notes.pitch
    if normalise_key:
        pitch = _in_c(pitch, instrument, unit, DURATIONS[duration])
    return packed_notes(place, instrument, pitch, duration, notes.velocity >> 2)


def tempos_at(score: Score, grid: Grid, place: np.ndarray) -> np.ndarray | int:
    """Return the number of the tempo at each place, or the one that all have."""
    tempos = score.tempos
    if not len(tempos):
        return DEFAULT_TEMPO
    number, since = tempo_id(tempos.us_per_quarter), places(tempos.tick, score.ppq, grid)
    if since[-1] <= place[0]:
        return int(number[-1])
    return np.append(DEFAULT_TEMPO, number)[since.searchsorted(place, side="right")]


def _refuse_impossible(score: Score) -> None:
    notes = score.notes
    bits = int(np.bitwise_or.reduce(notes.pitch | notes.velocity))
    if not 0 <= bits < 128 or notes.onset_tick[0] < 0:
        raise TokenError("score: a pitch, velocity or time outside MIDI; etude.music.check.check_score names it")
    quarters = int(notes.onset_tick[-1]) / score.ppq
    if quarters > LONGEST_PIECE:
        raise TokenError(
            f"score: {quarters:,.0f} quarter notes long, expected at most {LONGEST_PIECE:,}; "
            "cut it with etude.music.edit.trim"
        )


def _instruments(score: Score) -> np.ndarray | int:
    """Return the instrument of each note, or the one of all."""
    kinds = [DRUMS if track.is_drum else track.program for track in score.tracks]
    if not all(0 <= kind <= DRUMS for kind in kinds):
        raise TokenError("score: a program outside 0 to 127; etude.music.check.check_score names it")
    if kinds.count(kinds[0]) == len(kinds):
        return kinds[0]
    return np.array(kinds, np.int32)[score.notes.track]


def _timed(
    onset_tick: np.ndarray, end_tick: np.ndarray, ppq: int, grid: Grid
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return place and unit of each onset and how many positions each note lasts, all int64."""
    if grid.is_even:
        position = positions(np.concatenate([onset_tick, end_tick]), ppq).astype(np.int64)
        onset, end = position[: len(onset_tick)], position[len(onset_tick) :]
        end -= onset
        return even_places(onset, grid), onset * UNITS_PER_POSITION, end
    place, unit = uneven_places(onset_tick, ppq, grid)
    length = (np.multiply(end_tick, float(UNITS_PER_QUARTER)) / ppq - unit) / UNITS_PER_POSITION
    return place, unit, np.rint(length).astype(np.int64)


def _in_c(pitch: np.ndarray, instrument: np.ndarray | int, unit: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return pitches moved to C major or A minor, drums as they are."""
    is_pitched = np.broadcast_to(np.not_equal(instrument, DRUMS), len(pitch))
    end = unit + UNITS_PER_POSITION * length
    shift = shift_to_c(pitch[is_pitched], length[is_pitched], end[is_pitched])
    return pitch + np.int32(shift) * is_pitched
