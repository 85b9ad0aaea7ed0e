"""The tables of a Score: rows kept as int32 columns that cannot be written to.

Times are ticks. The order of rows is fixed, so tables of equal content are equal:

    notes           onset, track, pitch, duration, velocity
    controls, bends tick, track; rows of one tick and track keep the order of the file, which has a
                    meaning (a parameter number before its data)
    texts           tick, track
    tempos, signatures
                    tick; of several rows at one tick the last one holds

A ``track`` column holds an index into ``Score.tracks``; in texts -1 stands for the whole piece.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from etude.music.order import order_of_rows

TEXT_KINDS = (
    "text",
    "copyright",
    "track_name",
    "instrument",
    "lyric",
    "marker",
    "cue",
    "program",
    "device",
)
"""Kinds of text in the order of their meta events in a MIDI file, from 1."""

MAX_TICK = 2**31 - 1
"""The last tick that a column holds."""

_INT32 = np.dtype(np.int32)
_IN_ORDER = "is in order"
"""What a table that is known to be in order remembers."""

WHOLE_PIECE = -1
"""The track of a text that belongs to no single track."""


def _column(values: Any) -> np.ndarray:
    """Return values as a one-dimensional int32 array that cannot be written to.

    Raises:
        ValueError: values are not whole numbers, do not fit, or are not one-dimensional.
    """
    if type(values) is np.ndarray and values.dtype == _INT32 and values.ndim == 1:
        if not values.flags.writeable:
            return values
        column = values.view()
    else:
        given = np.asarray(values if isinstance(values, np.ndarray) else list(values))
        with np.errstate(invalid="ignore"):
            column = given.astype(np.int32)
        if given.ndim != 1 or (given.size and not np.array_equal(column, given)):
            raise ValueError(f"a column is a list of whole numbers that fit into 32 bits, got {given!r:.80}")
    column.setflags(write=False)
    return column


@dataclass(frozen=True, eq=False)
class Columns:
    """Rows kept as equally long columns; the base of every table in a Score."""

    _strings = frozenset()
    _order = ("tick",)

    def __post_init__(self) -> None:
        """Convert columns to int32, refuse unequal lengths."""
        # tables are built by the million: the fields of a frozen dataclass are set fastest where they lie
        own, lengths = self.__dict__, set()
        for name, values in own.items():
            own[name] = column = tuple(values) if name in self._strings else _column(values)
            lengths.add(len(column))
        if len(lengths) > 1:
            raise ValueError(f"{type(self).__name__}: columns of unequal length: {sorted(lengths)}")

    @classmethod
    def of(cls, **columns: Iterable) -> Self:
        """Build a table from any sequences, in any order of rows; rows are sorted.

        Example:
            >>> Tempos.of(tick=[960, 0], us_per_quarter=[400_000, 500_000]).tick
            array([  0, 960], dtype=int32)
        """
        return cls(**columns).in_order()

    @classmethod
    def of_int32(cls, *columns: np.ndarray) -> Self:
        """Build a table without strings of what is right already: int32, equally long, in order, no one else's.

        Nothing is checked or copied, which matters where tables are built by the million.
        """
        table = object.__new__(cls)
        own = table.__dict__
        own[_IN_ORDER] = True
        for name, column in zip(cls.__dataclass_fields__, columns, strict=True):
            column.setflags(write=False)
            own[name] = column
        return table

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(getattr(self, self._order[0]))

    def __eq__(self, other: object) -> bool:
        """Tell whether every column is equal."""
        if type(other) is not type(self):
            return NotImplemented
        pairs = [(getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__]
        return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)

    __hash__ = None

    def take(self, rows: np.ndarray | slice) -> Self:
        """Return some rows: indices, a mask or a slice."""
        if self._strings and not isinstance(rows, slice):
            rows = np.asarray(rows)
            rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return type(self)(
            **{
                name: tuple(values[rows] if isinstance(rows, slice) else (values[row] for row in rows.tolist()))
                if name in self._strings
                else values[rows]
                for name, values in self.columns().items()
            }
        )

    def columns(self) -> dict[str, Any]:
        """Return the columns by name, without copying."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def replace(self, **columns: Iterable) -> Self:
        """Return a table with some columns replaced, sorted again."""
        return type(self)(**(self.columns() | columns)).in_order()

    def in_order(self) -> Self:
        """Return the rows in the order that the module's header states."""
        own = self.__dict__
        # a table cannot change, so what was found out about it once holds
        if len(self) < 2 or _IN_ORDER in own:
            return self
        keys = self._keys()
        table = self if _is_sorted(keys) else self.take(order_of_rows(keys))
        table.__dict__[_IN_ORDER] = True
        return table

    def _keys(self) -> list[np.ndarray]:
        """Return int32 columns that give the order, the first one first."""
        return [getattr(self, name) for name in self._order]


def _is_sorted(keys: list[np.ndarray]) -> bool:
    """Tell whether rows are in lexicographic order of the keys."""
    first, *others = keys
    if len(others) > 1:
        # two columns of 32 bits are one of 64; with its sign turned, the lower one counts up from 0
        first = first.astype(np.int64) << 32 | others.pop(0).view(np.uint32) ^ np.uint32(1 << 31)
    before, after = first[:-1], first[1:]
    if (after < before).any():
        return False
    # a further key decides only where those before it are tied
    tied = (after == before).nonzero()[0]
    for key in others:
        if not len(tied):
            break
        before, after = key.take(tied), key.take(tied + 1)
        if (after < before).any():
            return False
        tied = tied[after == before]
    return True


@dataclass(frozen=True, eq=False)
class Notes(Columns):
    """Notes, one per row; ``pitch`` 0 to 127, ``velocity`` 1 to 127, ``duration_tick`` from 0."""

    onset_tick: np.ndarray
    duration_tick: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray
    track: np.ndarray

    _order = ("onset_tick", "track", "pitch", "duration_tick", "velocity")

    def _keys(self) -> list[np.ndarray]:
        onset, track, pitch, *others = super()._keys()
        if len(pitch) and pitch.view(np.uint32).max() < 1 << 7 and track.view(np.uint32).max() < 1 << 24:
            # chords are tied on all but the pitch
            return [onset, track << 7 | pitch, *others]
        return [onset, track, pitch, *others]


@dataclass(frozen=True, eq=False)
class Tempos(Columns):
    """Tempo from ``tick`` on, in microseconds per quarter note, 1 to 16,777,215."""

    tick: np.ndarray
    us_per_quarter: np.ndarray


@dataclass(frozen=True, eq=False)
class TimeSignatures(Columns):
    """Metre from ``tick`` on; ``denominator`` is the note value itself, such as 4 or 8."""

    tick: np.ndarray
    numerator: np.ndarray
    denominator: np.ndarray


@dataclass(frozen=True, eq=False)
class KeySignatures(Columns):
    """Key from ``tick`` on: ``sharps`` from -7 (flats) to 7, ``is_minor`` 0 or 1."""

    tick: np.ndarray
    sharps: np.ndarray
    is_minor: np.ndarray


@dataclass(frozen=True, eq=False)
class Controls(Columns):
    """Control changes: ``number`` 0 to 127 (64 is the sustain pedal), ``value`` 0 to 127."""

    tick: np.ndarray
    track: np.ndarray
    number: np.ndarray
    value: np.ndarray

    _order = ("tick", "track")


@dataclass(frozen=True, eq=False)
class PitchBends(Columns):
    """Pitch bends: ``value`` from -8192 to 8191, 0 for none."""

    tick: np.ndarray
    track: np.ndarray
    value: np.ndarray

    _order = ("tick", "track")


@dataclass(frozen=True, eq=False)
class Texts(Columns):
    """Words in the piece: ``kind`` is one of ``TEXT_KINDS``, ``track`` an index or ``WHOLE_PIECE``."""

    tick: np.ndarray
    kind: tuple[str, ...]
    text: tuple[str, ...]
    track: np.ndarray

    _strings = frozenset(("kind", "text"))
    _order = ("tick", "track")


@dataclass(frozen=True)
class Track:
    """One instrument: its General MIDI program 0 to 127, whether it is a drum kit, its name."""

    program: int
    is_drum: bool = False
    name: str = ""
