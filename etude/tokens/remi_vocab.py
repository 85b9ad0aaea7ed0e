"""The dictionary of the `remi` tokenizer: 1,253 ids, what each means, and the file that lists them.

The ids are those of MuseCoco's dictionary. ``PAD`` and ``END`` are ``<pad>`` and ``</s>`` there, which no line of
``dict.txt`` names: its line n, from 1, has id n + 3.

Times are positions, 12 to a quarter note, or units, 4 to a position: a bar of any metre is whole units long.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from etude.errors import FormatError
from etude.tokens.vocab import Vocab

PAD, END = 1, 2
BAR = 5
"""``b-1``, the end of a bar; ``b-0`` is not used."""
POSITION, INSTRUMENT, PITCH, DURATION, VELOCITY, METRE, TEMPO = 6, 134, 263, 519, 647, 679, 933
"""The first id of each kind."""
UNUSED, SEP = 982, 984

UNITS_PER_QUARTER, UNITS_PER_POSITION, POSITIONS_PER_QUARTER = 48, 4, 12
DRUMS = 128
"""The instrument of drums; their pitches are 128 higher than their keys."""
COMMON_METRE, DEFAULT_TEMPO = 9, 35
"""4/4, and the nearest to 120 quarter notes a minute: what holds where a piece says nothing."""

METRES = tuple((upper, lower) for lower in (1, 2, 4, 8, 16, 32, 64) for upper in range(1, 2 * lower + 1))
"""The 254 metres, bars of two whole notes at most."""

METRE_UNITS = np.array([4 * UNITS_PER_QUARTER * upper // lower for upper, lower in METRES], np.int64)
"""The length of a bar of each metre."""

DURATIONS = np.array([12 * (2**octave - 1) + 2**octave * step for octave in range(8) for step in range(12)], np.int64)
"""The shortest note, in positions, of each of the 96 lengths; the first, 0, sounds for a position."""

DURATION_OF = np.maximum(np.searchsorted(DURATIONS, np.arange(DURATIONS[-1] + 1), side="right") - 1, 1).astype(np.int32)
"""Positions to lengths; whatever is longer has the last."""

_LONGEST_BAR = 2

# of each attribute before the music: how many values it has; the last is "not told"
_ATTRIBUTES = (
    *((f"I1s2_{kind}", 3) for kind in range(28)),
    *(("I4", 29), ("C1", 5), ("R1", 3), ("R3", 4), ("S2s1", 18)),
    *((f"S4_{genre}", 3) for genre in range(22)),
    *(("B1s1", 5), ("TS1s1", 8), ("K1", 3), ("T1s1", 4), ("P4", 13), ("ST1", 15), ("EM1", 5), ("TM1", 6)),
)

_COUNTS = (("b", 2), ("o", 128), ("i", 129), ("p", 256), ("d", 128), ("v", 32), ("s", 254), ("t", 49), ("e", 2))
_SPECIAL = ("<s>", "PAD", "END", "<unk>")
NAMES = (
    *_SPECIAL,
    *(f"{kind}-{value}" for kind, count in _COUNTS for value in range(count)),
    "<sep>",
    *(f"{name}_{value}" for name, count in _ATTRIBUTES for value in range(count)),
)
"""The names of all ids before any is replaced."""

_ENCODED = (
    BAR,
    *range(POSITION, POSITION + _LONGEST_BAR * 4 * POSITIONS_PER_QUARTER),
    *range(INSTRUMENT, DURATION),
    *range(DURATION + 1, DURATION + len(DURATIONS)),
    *range(VELOCITY, UNUSED),
)


def metre_id(numerator: int, denominator: int) -> int:
    """Return the number of a metre, 0 to 253.

    A denominator over 64 is halved, and the numerator with it; a numerator of more than two whole notes is
    divided by its smallest factor until it fits: 12/4 is counted in bars of 6/4.

    Example:
        >>> metre_id(4, 4), metre_id(6, 8), metre_id(12, 4) == metre_id(6, 4)
        (9, 19, True)
    """
    numerator, denominator = max(int(numerator), 1), max(int(denominator), 1)
    while denominator > 64:
        denominator //= 2
        numerator = (numerator + 1) // 2
    while numerator > _LONGEST_BAR * denominator:
        numerator //= next(factor for factor in range(2, numerator + 1) if numerator % factor == 0)
    return 2 * (denominator - 1) + numerator - 1


def tempo_id(us_per_quarter: np.ndarray) -> np.ndarray:
    """Return the numbers of tempos, 0 to 48: twelve to a doubling, from 16 quarter notes a minute to 256."""
    tempo_qpm = np.clip(60e6 / np.maximum(us_per_quarter, 1), 16, 256)
    return np.rint(12 * np.log2(tempo_qpm / 16)).astype(np.int32)


TEMPO_US = np.rint(60e6 / (16 * 2.0 ** (np.arange(49) / 12))).astype(np.int32)
"""The microseconds of a quarter note at each tempo."""


@cache
def free_names(*, is_reduced: bool) -> frozenset[str]:
    """Return the names that may be replaced: those that encoding never writes, ``<sep>`` and specials excepted."""
    written = {NAMES[i] for i in _ENCODED if not (is_reduced and i >= VELOCITY)}
    return frozenset(NAMES) - written - {*_SPECIAL, "<sep>"}


def vocab_of(replaced: Mapping[str, str]) -> Vocab:
    """Return all names in the order of ids, some replaced."""
    return Vocab(replaced.get(name, name) for name in NAMES)


def check_replaced(replaced: Mapping[str, str], *, is_reduced: bool) -> None:
    """Refuse replacements that would take a name that is used.

    Raises:
        ValueError: the old name is unknown or used, or the new one is there already or is not one word.
    """
    free = free_names(is_reduced=is_reduced)
    for old, new in replaced.items():
        if old not in NAMES:
            raise ValueError(f"replaced = {old!r}: no such name; expected an unused one, such as 'b-0' or 'o-96'")
        if old not in free:
            raise ValueError(f"replaced = {old!r}: is used; expected an unused one, such as 'b-0' or 'o-96'")
        if not new or len(new.split()) != 1 or new != new.strip():
            raise ValueError(f"replaced = {new!r} for {old!r}: expected a name without spaces")
        if new in NAMES or list(replaced.values()).count(new) > 1:
            raise ValueError(f"replaced = {new!r} for {old!r}: there is such a name; choose another")


def write_dict(path: Path | str, vocab: Vocab) -> None:
    """Write ``dict.txt``: a line a name, with a count of 1, without the first four ids."""
    Path(path).write_text("".join(f"{name} 1\n" for name in vocab.names[len(_SPECIAL) :]), encoding="utf-8")


def read_replaced(path: Path | str) -> dict[str, str]:
    """Return the names that a ``dict.txt`` has in the place of others, old to new.

    Raises:
        FormatError: it cannot be read, has not 1,249 lines, or one that is not a name and a count.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: cannot be read: {error}") from error
    expected = NAMES[len(_SPECIAL) :]
    if len(lines) != len(expected):
        raise FormatError(
            f"{path}: {len(lines)} lines, expected {len(expected)}; new names replace unused ones, none is added"
        )
    replaced = {}
    for number, (line, old) in enumerate(zip(lines, expected, strict=True), start=1):
        name, _, count = line.rpartition(" ")
        if not name or " " in name or not count.isdecimal():
            raise FormatError(f"{path}, line {number}: '{line:.40}', expected a name, a space and a count")
        if name != old:
            replaced[old] = name
    return replaced
