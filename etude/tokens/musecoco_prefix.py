"""MuseCoco's prefix: what a piece is to be, as ids of the `remi` dictionary, before the music.

In fixed order there are 63 ids and ``<sep>``: 28 instruments, I4, C1, danceability, intensity, artist, 22 genres, bars,
metre, mode, tempo, pitch range, ST1, emotion, duration. What is not known has the last id of its kind. In short order
only what is known is written, in the same order.

I4, C1 and ST1 are what older versions of that system measured; they are never known. A piece of more than 16 bars has
no published id, so its bars are not known.

Source: the dictionary of MuseCoco and the order in which its training data have it.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np

from etude.attributes import ATTRIBUTES, NA, Value, attribute
from etude.errors import SettingsError, TokenError, nearest
from etude.tokens.remi_vocab import NAMES, SEP

YES, NO, UNKNOWN = 0, 1, 2
"""What is said of each member of a set."""

_ORDER = (
    ("I1s2", "instruments"),
    ("I4", None),
    ("C1", None),
    ("R1", "danceability"),
    ("R3", "rhythm_intensity"),
    ("S2s1", "artist"),
    ("S4", "genre"),
    ("B1s1", "bars"),
    ("TS1s1", "metre"),
    ("K1", "mode"),
    ("T1s1", "tempo"),
    ("P4", "pitch_range"),
    ("ST1", None),
    ("EM1", "emotion"),
    ("TM1", "duration"),
)
PUBLISHED = tuple(name for _, name in _ORDER if name)
"""The attributes that have ids."""

Said = Value | Mapping[str, bool]


@cache
def _place_of_names() -> dict[str, int]:
    return {name: place for place, name in enumerate(NAMES)}


def _is_set(name: str | None) -> bool:
    return name is not None and attribute(name).bins.kind == "set"


@cache
def _slots() -> tuple[tuple[str, str | None, str | None, tuple[int, ...]], ...]:
    """Return a row for each of the 63: kind, attribute, member of a set, ids with the last for what is not known."""
    rows = []
    for kind, name in _ORDER:
        members = attribute(name).bins.names[:-1] if _is_set(name) else (None,)
        for number, member in enumerate(members):
            stem = kind if member is None else f"{kind}_{number}"
            first = _place_of_names()[f"{stem}_0"]
            count = next(n for n in range(1, len(NAMES)) if f"{stem}_{n}" not in _place_of_names())
            rows.append((kind, name, member, tuple(range(first, first + count))))
    return tuple(rows)


def prefix_ids(values: Mapping[str, Said], order: str = "fixed") -> np.ndarray:
    """Return the ids that say what a piece is to be, int32, ``<sep>`` last.

    Args:
        values: by attribute, as ``etude.attributes.measure`` gives them, or names of bins; None and ``"NA"`` for what
            is not known. A set that is a tuple is whole: its other members are refused. A mapping of names to True and
            False says no more than what stands in it. Attributes without published ids are passed over.
        order: ``fixed``, 64 ids, or ``short``.

    Raises:
        TokenError: no such attribute, value or order.

    Example:
        >>> [NAMES[one] for one in prefix_ids({"tempo": 140.0, "instruments": {"piano": True}}, order="short")]
        ['I1s2_0_0', 'T1s1_2', '<sep>']
        >>> len(prefix_ids({}))
        64
    """
    if order not in ("fixed", "short"):
        raise TokenError(f"order = {order!r}: {nearest(order, ('fixed', 'short'))}")
    for name in values:
        if name not in ATTRIBUTES:
            raise TokenError(f"condition {name!r}: no such attribute; {nearest(name, PUBLISHED)}")
    places = {name: _places(name, values.get(name)) for name in PUBLISHED}
    ids = []
    for _, name, member, own in _slots():
        place = None if name is None else places[name].get(member)
        if place is not None and place < len(own) - 1:
            ids.append(own[place])
        elif order == "fixed":
            ids.append(own[-1])
    return np.array([*ids, SEP], np.int32)


def values_of_ids(ids: np.ndarray) -> dict[str, str | dict[str, bool]]:
    """Return what a prefix says, by attribute: names of bins, and for sets a mapping of names to True and False.

    Example:
        >>> values_of_ids(prefix_ids({"metre": "3/4", "genre": {"jazz": True}}))
        {'genre': {'jazz': True}, 'metre': '3/4'}
    """
    said: dict[str, str | dict[str, bool]] = {}
    given = set(np.asarray(ids).tolist())
    for _, name, member, own in _slots():
        place = next((place for place, one in enumerate(own[:-1]) if one in given), None)
        if name is None or place is None:
            continue
        if member is None:
            said[name] = attribute(name).bins.names[place]
        else:
            said.setdefault(name, {})[member] = place == YES
    return said


def _places(name: str, value: Said) -> dict[str | None, int]:
    """Return the number of the value that an attribute has, by member of a set or by None; nothing is not known."""
    bins = attribute(name).bins
    try:
        if value is None or value == NA:
            return {}
        if bins.kind != "set":
            return {None: bins.index(value)}
        if isinstance(value, Mapping):
            (held, refused) = (
                bins.bin_of(tuple(k for k, yes in value.items() if yes is told)) for told in (True, False)
            )
        else:
            held = bins.bin_of(value)
            refused = tuple(member for member in bins.names[:-1] if member not in held)
    except SettingsError as error:
        raise TokenError(f"condition {name}: {error}") from None
    return dict.fromkeys(refused, NO) | dict.fromkeys(held, YES)
