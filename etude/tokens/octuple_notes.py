"""The column work of the octuple tokenizer, back: any rows of eight ids to notes, metres and tempos.

Times are positions of a 16th of a quarter note. N is the number of notes, T of rows, M of metres.
"""

from typing import NamedTuple

import numpy as np

from etude.tokens.id_facts import DRUMS
from etude.tokens.octuple_bars import starts_of_bars
from etude.tokens.octuple_layout import BAR_LENGTHS, BARS_IN_SECTION, CODEBOOKS, END, LONGEST_PIECE, SECTION

_FIRST_IDS = np.array([[book.first] for book in CODEBOOKS], np.int32)
_SIZES = np.array([[book.size] for book in CODEBOOKS], np.uint32)


class Told(NamedTuple):
    """What rows tell, in order of position, program and pitch: values of ids, (N,) but for the last two, (M,).

    Attributes:
        at: position in the piece.
        program: 0..127, and 128 for drums.
        pitch: 0..127.
        duration: value of the id.
        velocity: value of the id.
        tempo: value of the id that holds at the note.
        metre_at: where a metre begins, the first of them at 0.
        metre: value of the id that holds from there on.
    """

    at: np.ndarray
    program: np.ndarray
    pitch: np.ndarray
    duration: np.ndarray
    velocity: np.ndarray
    tempo: np.ndarray
    metre_at: np.ndarray
    metre: np.ndarray


def notes_of_rows(rows: np.ndarray) -> Told:
    """Read any rows of ids as notes.

    Args:
        rows: ids of the vocabulary, int32 (T, 8).
    """
    values = _in_order(_values(rows)[0])
    bar, position, program, pitch, duration, velocity, metre, tempo = values
    first, which = _runs(bar)
    metre = metre[first]
    start = starts_of_bars(bar[first].astype(np.int64), metre)
    at = start[which] + position
    columns = (at, program, pitch & 127, duration, velocity, tempo)
    if len(at) and (at[-1] >= LONGEST_PIECE or (at[1:] < at[:-1]).any()):
        # positions beyond their bar, or a piece too long
        order = np.argsort(at << 16 | program << 8 | pitch, kind="stable")
        order = order[: int(at[order].searchsorted(LONGEST_PIECE))]
        columns = tuple(column[order] for column in columns)
        at, tempo = columns[0], columns[-1]
    first, which = _runs(at)
    changes = np.flatnonzero(_is_new(metre) & (start < LONGEST_PIECE))
    metre_at = start[changes]
    metre_at[:1] = 0
    return Told(*columns[:-1], tempo[first][which], metre_at, metre[changes])


def repairs_of_rows(rows: np.ndarray) -> dict[str, int]:
    """Count the rows that ``notes_of_rows`` mends."""
    told, is_note, is_section = _values(rows)
    bar, position, program, pitch = told[:4].astype(np.int64)
    key = (((bar << 7 | position) << 8 | program) << 7) | (pitch & 127)
    values = _in_order(told)
    in_bar, metre = _runs(values[0]), values[6]
    metre_of_bar = metre[in_bar[0]]
    at = starts_of_bars(values[0][in_bar[0]].astype(np.int64), metre_of_bar)[in_bar[1]] + values[1]
    at, tempo = (column[np.argsort(at, kind="stable")] for column in (at, values[7]))
    first, which = _runs(at)
    repairs = {
        "outside": ~is_note & ~is_section,
        "out_of_order": key[1:] <= key[:-1],
        "beyond_bar": values[1] >= BAR_LENGTHS[metre_of_bar][in_bar[1]],
        "other_metre": metre != metre_of_bar[in_bar[1]],
        "other_tempo": tempo != tempo[first][which],
        "other_kit": (program == DRUMS) != (pitch >= 128),
        "too_late": at >= LONGEST_PIECE,
    }
    return {name: int(np.count_nonzero(mended)) for name, mended in repairs.items()}


def _values(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the values of ids by codebook, bars counted through, int32 (8, N), and which rows are notes and sections.

    Rows from the first END on are left out.
    """
    ids = np.ascontiguousarray(rows.T)
    is_special = ids < CODEBOOKS[0].first
    if is_special.any():
        ends = np.flatnonzero((ids == END).any(axis=0))
        ids = ids[:, : ends[0]] if ends.size else ids
    is_section = (ids == SECTION).all(axis=0)
    values = ids - _FIRST_IDS
    # what is below 0 is large as an unsigned number
    is_note = (values.view(np.uint32) < _SIZES).all(axis=0)
    if not is_note.all():
        values = values[:, is_note]
        values[0] += BARS_IN_SECTION * np.cumsum(is_section, dtype=np.int32)[is_note]
    return values, is_note, is_section


def _in_order(values: np.ndarray) -> np.ndarray:
    """Return rows in order of bar, position, program and pitch; they mostly are."""
    bar, position, program, pitch = values[:4]
    key = bar.astype(np.int64) << 23
    key |= (position << 16) | (program << 8) | pitch
    if (key[1:] >= key[:-1]).all():
        return values
    return values[:, np.argsort(key, kind="stable")]


def _runs(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where runs of equal values begin, and the run of each value."""
    is_new = _is_new(column)
    return np.flatnonzero(is_new), np.cumsum(is_new) - 1


def _is_new(column: np.ndarray) -> np.ndarray:
    is_new = np.ones(len(column), bool)
    np.not_equal(column[1:], column[:-1], out=is_new[1:])
    return is_new
