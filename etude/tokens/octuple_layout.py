"""Where the ids of the octuple tokenizer lie, and what their values mean.

A position is a 16th of a quarter note, which is also a 64th note. Eight codebooks, in the order of a row, lie one
after the other after the four special ids:

    BAR 0..255 | POSITION 0..127 | PROGRAM 0..128, 128 for drums | PITCH 0..127, and 128..255 for keys of drums
    DURATION 0..127 | VELOCITY 0..31 | METRE 0..253 | TEMPO 0..48
"""

from typing import NamedTuple

import numpy as np

SECTION, PAD, END, UNKNOWN = range(4)
"""The special ids, where fairseq has <s>, <pad>, </s> and <unk>."""

POSITIONS_PER_QUARTER = 16
POSITIONS_PER_WHOLE = 64
LONGEST_BAR = 128
"""Positions in the longest bar: two whole notes."""

BARS_IN_SECTION = 256
MOST_SECTIONS = 512
LONGEST_PIECE = 1 << 24
"""Positions in the longest piece: 145 hours at 120 quarter notes a minute."""

LOWEST_TEMPO_QPM, HIGHEST_TEMPO_QPM, TEMPOS_PER_OCTAVE = 16, 256, 12
DEFAULT_TEMPO = 35
"""The tempo nearest to 120 quarter notes a minute."""


def _metres() -> tuple[tuple[int, int], ...]:
    """Return all metres up to two whole notes, from 1/1 to 128/64."""
    lower = [1 << power for power in range(7)]
    return tuple((upper, one) for one in lower for upper in range(1, 2 * one + 1))


def _durations() -> np.ndarray:
    """Return the shortest duration of each id, in positions: 16 a step apart, 16 two steps apart, 16 four apart, …"""
    steps = np.repeat(1 << np.arange(8), 16)
    return np.cumsum(steps) - steps


METRES = _metres()
METRE_OF = {metre: number for number, metre in enumerate(METRES)}
BAR_LENGTHS = np.array([POSITIONS_PER_WHOLE * upper // lower for upper, lower in METRES])
"""Positions in a bar of each metre, int64 (254,)."""

DURATIONS = _durations()
"""Positions that each duration id decodes to, int64 (128,)."""
LONGEST_DURATION = int(DURATIONS[-1])
DURATION_OF = (np.searchsorted(DURATIONS, np.arange(LONGEST_DURATION + 1), side="right") - 1).astype(np.int64)
"""The id of each number of positions up to the longest, rounded down."""

TEMPOS_QPM = LOWEST_TEMPO_QPM * 2 ** (np.arange(49) / TEMPOS_PER_OCTAVE)


class Codebook(NamedTuple):
    """The ids that stand at one place of a row."""

    name: str
    first: int
    size: int


def _codebooks() -> tuple[Codebook, ...]:
    sizes = {"BAR": BARS_IN_SECTION, "POSITION": LONGEST_BAR, "PROGRAM": 129, "PITCH": 256}
    sizes |= {"DURATION": len(DURATIONS), "VELOCITY": 32, "METRE": len(METRES), "TEMPO": len(TEMPOS_QPM)}
    ends = np.cumsum(list(sizes.values())) + UNKNOWN + 1
    return tuple(Codebook(name, int(end) - size, size) for (name, size), end in zip(sizes.items(), ends, strict=True))


CODEBOOKS = _codebooks()
BAR, POSITION, PROGRAM, PITCH, DURATION, VELOCITY, METRE, TEMPO = (book.first for book in CODEBOOKS)
MASK = CODEBOOKS[-1].first + CODEBOOKS[-1].size
"""The last id, for models that fill gaps; never written."""

FIRST_IDS = np.array([book.first for book in CODEBOOKS])
SIZES = np.array([book.size for book in CODEBOOKS])


def names() -> list[str]:
    """Return the names of all 1,237 ids in id order."""
    values = [[f"{book.name}_{value}" for value in range(book.size)] for book in CODEBOOKS]
    values[6] = [f"METRE_{upper}/{lower}" for upper, lower in METRES]
    values[7] = [f"TEMPO_{tempo:.1f}" for tempo in TEMPOS_QPM]
    return ["SECTION", "PAD", "END", "UNKNOWN", *(name for book in values for name in book), "MASK"]


def metre_of(upper: int, lower: int) -> int:
    """Return the metre id of a time signature; bars longer than two whole notes are divided into equal ones.

    Example:
        >>> [METRES[metre_of(*signature)] for signature in ((3, 4), (9, 4), (6, 128))]
        [(3, 4), (3, 4), (3, 64)]
    """
    upper, lower = max(upper, 1), max(lower, 1)
    while lower > POSITIONS_PER_WHOLE and upper % 2 == lower % 2 == 0:
        upper, lower = upper // 2, lower // 2
    while upper > 2 * lower:
        upper //= next(divisor for divisor in range(2, upper + 1) if upper % divisor == 0)
    if (upper, lower) in METRE_OF:
        return METRE_OF[upper, lower]
    return metre_of_length(max(1, round(POSITIONS_PER_WHOLE * upper / lower)))


def metre_of_length(positions: int) -> int:
    """Return the metre id of a bar of so many positions, in quarters or the longest shorter beat that fits.

    Example:
        >>> [METRES[metre_of_length(positions)] for positions in (16, 24, 64)]
        [(1, 4), (3, 8), (4, 4)]
    """
    lower = next(lower for lower in (4, 8, 16, 32, 64) if positions * lower % POSITIONS_PER_WHOLE == 0)
    return METRE_OF[positions * lower // POSITIONS_PER_WHOLE, lower]
