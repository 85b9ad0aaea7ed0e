"""The values of ABC's fields: keys, metres, tempos, lengths."""

import re
from fractions import Fraction

_BASE = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
_MODES = {"maj": 0, "ion": 0, "mix": -1, "dor": -2, "min": -3, "aeo": -3, "m": -3, "phr": -4, "loc": -5, "lyd": 1}
_KEY = re.compile(r"([A-G])([#b]?)\s*([A-Za-z]*)")
_ALTERED = re.compile(r"(?<![\w=])(\^\^|\^|__|_|=)([A-Ga-g])(?![\w=])")
_ALTER = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_LENGTH = re.compile(r"(\d*)(/*)(\d*)")


def read_key(value: str) -> tuple[int, bool, dict[str, int]] | None:
    """Return sharps (negative for flats), whether it is minor, and semitones by step; None if there is no key.

    Example:
        >>> read_key("Ador ^g")
        (1, False, {'F': 1, 'G': 1})
    """
    if value[:2] in ("HP", "Hp"):
        return 2, False, {"F": 1, "C": 1}
    found = _KEY.match(value)
    if found is None:
        is_none = value == "" or value.lower().startswith("none") or _ALTERED.match(value) is not None
        return (0, False, _altered(value)) if is_none else None
    word = found[3].lower()
    mode = "m" if word == "m" else word[:3]
    if found[3] and mode not in _MODES:
        # such as K:G clef=bass, or Kexp
        mode = "maj"
    sharps = _BASE[found[1]] + {"#": 7, "b": -7, "": 0}[found[2]] + _MODES.get(mode, 0)
    sharps = max(min(sharps, 7), -7)
    steps = dict.fromkeys("FCGDAEB"[:sharps], 1) if sharps > 0 else dict.fromkeys("BEADGCF"[:-sharps], -1)
    return sharps, _MODES.get(mode, 0) == -3, steps | _altered(value[found.end() :])


def _altered(value: str) -> dict[str, int]:
    return {step.upper(): _ALTER[sign] for sign, step in _ALTERED.findall(value)}


def read_metre(value: str) -> tuple[int, int] | tuple[()]:
    """Return upper and lower number of a metre; empty if it is free or cannot be understood.

    Example:
        >>> read_metre("C|"), read_metre("(2+3)/8"), read_metre("none")
        ((2, 2), (5, 8), ())
    """
    if value in ("C", "c", "C|", "c|"):
        return (2, 2) if "|" in value else (4, 4)
    found = re.match(r"\(?(\d+(?:\s*\+\s*\d+)*)\)?\s*/\s*(\d+)", value)
    if found is None:
        return ()
    upper, lower = sum(map(int, found[1].split("+"))), int(found[2])
    return (upper, lower) if 1 <= upper <= 255 and lower in (1, 2, 4, 8, 16, 32, 64, 128) else ()


def read_tempo(value: str, unit: Fraction) -> int | None:
    """Return microseconds per quarter note; without a note value the number counts unit notes.

    Args:
        value: such as ``1/4=120``, ``"Allegro" 3/8=50`` or ``120``.
        unit: the unit note length, in quarters.

    Example:
        >>> read_tempo('"Slowly" 3/8=40', Fraction(1, 2))
        1000000
    """
    value = re.sub(r'"[^"]*"', "", value)
    beats, equal, rate = value.rpartition("=")
    found = re.search(r"\d+(?:\.\d+)?", rate)
    if found is None or not float(found[0]):
        return None
    parts = re.findall(r"(\d+)/(\d*[1-9]\d*)", beats)
    quarters = sum((Fraction(4 * int(upper), int(lower)) for upper, lower in parts), Fraction(0)) or unit
    us_per_quarter = round(60e6 / (float(found[0]) * float(quarters)))
    return us_per_quarter if 1 <= us_per_quarter <= 0xFFFFFF else None


def read_length(text: str) -> Fraction:
    """Return what a length after a note multiplies its unit by.

    Example:
        >>> [str(read_length(text)) for text in ("", "3", "/", "3/2", "//", "/4")]
        ['1', '3', '1/2', '3/2', '1/4', '1/4']
    """
    upper, slashes, lower = _LENGTH.match(text).groups()
    value = Fraction(int(upper[:4]) if upper else 1)
    if not slashes:
        return value
    return value / (max(int(lower[:4]), 1) if lower else 2 ** min(len(slashes), 10))


def read_unit(value: str) -> Fraction | None:
    """Return a unit note length in quarters, such as of ``1/8``; None if it is none."""
    found = re.match(r"(\d+)\s*/\s*(\d+)", value)
    if found is None or not int(found[1]) or not 1 <= int(found[2]) <= 512:
        return None
    return Fraction(4 * int(found[1]), int(found[2]))
