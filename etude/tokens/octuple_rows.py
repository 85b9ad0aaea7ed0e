"""The column work of the octuple tokenizer, one way: a score to rows of eight ids; ``octuple_notes`` is the way back.

Times are positions of a 16th of a quarter note. N is the number of notes, T of rows. No loop runs over notes: while
they are sorted, a note is one whole number,

    position in the piece (24 bits) | program (8) | pitch (7) | duration id (7) | velocity id (5)
"""

import numpy as np

from etude.errors import TokenError
from etude.music.score import Score, Tempos
from etude.music.sustain import sustained_end_tick
from etude.tokens.id_facts import DRUMS
from etude.tokens.key_strikes import keys_of, struck_once
from etude.tokens.octuple_bars import bars_of_onsets
from etude.tokens.octuple_layout import (
    BAR,
    BARS_IN_SECTION,
    DEFAULT_TEMPO,
    DURATION,
    DURATION_OF,
    HIGHEST_TEMPO_QPM,
    LONGEST_DURATION,
    LONGEST_PIECE,
    LOWEST_TEMPO_QPM,
    METRE,
    MOST_SECTIONS,
    PITCH,
    POSITION,
    POSITIONS_PER_QUARTER,
    PROGRAM,
    SECTION,
    TEMPO,
    TEMPOS_PER_OCTAVE,
    VELOCITY,
)

_PITCH_OF_KEY = np.arange(DRUMS + 1 << 7, dtype=np.int32)
"""The pitch id of each key: those of drums have ids of their own."""
_PITCH_OF_KEY &= 127
_PITCH_OF_KEY += PITCH
_PITCH_OF_KEY[DRUMS << 7 :] += 128


def rows_of_score(score: Score, *, extend_by_pedal: bool) -> np.ndarray:
    """Return the rows of a score with at least one note, int32 (T, 8).

    Raises:
        TokenError: a pitch, velocity or time outside MIDI, or a piece too long.
    """
    notes, ppq = score.notes, score.ppq
    bits = int(np.bitwise_or.reduce(notes.pitch | notes.velocity))
    if not 0 <= bits < 128 or notes.onset_tick[0] < 0:
        raise TokenError("score: a pitch, velocity or time outside MIDI; etude.music.check.check_score names it")
    end_tick = np.add(notes.onset_tick, notes.duration_tick, dtype=np.int64)
    if extend_by_pedal:
        end_tick = sustained_end_tick(score.controls, end_tick, notes.track if len(score.tracks) > 1 else None)
    onset, end = positions_of(notes.onset_tick, ppq), positions_of(end_tick, ppq)
    if onset[-1] >= LONGEST_PIECE:
        raise TokenError(
            f"score: {onset[-1] // POSITIONS_PER_QUARTER} quarter notes long, expected at most "
            f"{LONGEST_PIECE // POSITIONS_PER_QUARTER}; cut it with etude.music.edit.trim"
        )
    strikes = struck_once(keys_of(score), onset, end, notes.velocity >> 2)
    duration = DURATION_OF[np.minimum(strikes.end - strikes.onset, LONGEST_DURATION)]
    packed = strikes.onset << 27
    packed |= (strikes.key.astype(np.int32) << 12) | (duration << 5) | strikes.value
    packed.sort()
    onset, low = packed >> 27, packed.astype(np.int32)  # which keeps all but the high bits of the onset
    bar, position, metre = bars_of_onsets(onset, score.time_signatures, ppq)
    rows = np.empty((len(packed), 8), np.int32)
    np.add(bar, BAR, out=rows[:, 0], casting="same_kind")
    np.add(position, POSITION, out=rows[:, 1], casting="same_kind")
    key = (low >> 12) & 0x7FFF
    np.add(key >> 7, PROGRAM, out=rows[:, 2])
    rows[:, 3] = _PITCH_OF_KEY[key]
    np.add((low >> 5) & 127, DURATION, out=rows[:, 4])
    np.add(low & 31, VELOCITY, out=rows[:, 5])
    rows[:, 6] = metre + METRE
    rows[:, 7] = _tempos_at(onset, score.tempos, ppq) + TEMPO
    return rows if bar[-1] < BARS_IN_SECTION else _in_sections(rows)


def positions_of(tick: np.ndarray, ppq: int) -> np.ndarray:
    """Return the nearest position of each tick, int64; of two equally near ones the even one."""
    return np.rint(tick * float(POSITIONS_PER_QUARTER) / ppq).astype(np.int64)


def _tempos_at(onset: np.ndarray, tempos: Tempos, ppq: int) -> np.ndarray | int:
    """Return the tempo id at each onset: that of the last change at its position or before."""
    if not len(tempos):
        return DEFAULT_TEMPO
    at = positions_of(tempos.tick, ppq)
    tempo = tempo_of(tempos.us_per_quarter)
    if at[0] <= onset[0] and (len(at) == 1 or (tempo == tempo[0]).all()):
        return int(tempo[0])
    return np.append(DEFAULT_TEMPO, tempo)[at.searchsorted(onset, side="right")]


def tempo_of(us_per_quarter: np.ndarray) -> np.ndarray:
    """Return the nearest tempo id, int64, on a scale of twelve steps an octave."""
    qpm = np.clip(60e6 / np.maximum(us_per_quarter, 1), LOWEST_TEMPO_QPM, HIGHEST_TEMPO_QPM)
    return np.rint(np.log2(qpm / LOWEST_TEMPO_QPM) * TEMPOS_PER_OCTAVE).astype(np.int64)


def _in_sections(rows: np.ndarray) -> np.ndarray:
    """Count bars in sections of 256, each but the first announced by a row."""
    section = (rows[:, 0] - BAR) // BARS_IN_SECTION
    if section[-1] >= MOST_SECTIONS:
        bars, most = int(rows[-1, 0]) - BAR, MOST_SECTIONS * BARS_IN_SECTION
        raise TokenError(f"score: {bars} bars long, expected at most {most}; cut it with etude.music.edit.trim")
    rows[:, 0] -= section * BARS_IN_SECTION
    result = np.full((len(rows) + int(section[-1]), 8), SECTION, np.int32)
    result[np.arange(len(rows)) + section] = rows
    return result
