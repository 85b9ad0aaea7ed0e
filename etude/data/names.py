"""Composer and form from the names of files and folders, and which labels are known.

A name counts where it stands as a word: between ends of the path, or anything that is no letter, such as
``_ - . / 1``. Accents and case do not matter, ``Dvořák`` is ``dvorak``. Longer names win over their parts, so
``Clara_Schumann`` is not Schumann. A path has a label if exactly one name of its kind stands in it.

Surnames that are everyday words (Field, Wolf, Price) count with the first name alone.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

from etude.data.known_names import COMPOSERS, EVERYDAY, FORMS, GENRES
from etude.errors import SettingsError, nearest

KNOWN = {"composer": COMPOSERS, "form": FORMS, "genre": GENRES}
"""Labels with a list of known values: label to value to its other spellings."""

IN_NAMES = ("composer", "form")
"""Labels that are read from names of files."""

_WORD = re.compile(r"[^\W\d_]+")
# letters that are no others with an accent
_PLAIN_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe"})


def labels_of_name(path: str, names: Sequence[str] = IN_NAMES) -> dict[str, str]:
    """Return the labels that stand in a path.

    Args:
        path: of a file, with its folders.
        names: some of ``IN_NAMES``.

    Raises:
        SettingsError: there is no such label.

    Example:
        >>> labels_of_name("Chopin_Nocturne.mid")
        {'composer': 'Chopin', 'form': 'nocturne'}
        >>> labels_of_name("Prelude and fugue/BACH-2.mid")
        {'composer': 'Bach'}
    """
    words = _words(path)
    labels = {}
    for name in names:
        if name not in IN_NAMES:
            raise SettingsError(f"names = {name!r}: {nearest(name, IN_NAMES)}")
        found = set(_values_in(words, name))
        if len(found) == 1:
            labels[name] = found.pop()
    return labels


def check_label(key: str, value: str) -> str:
    """Return the one spelling of a label's value; labels other than those in ``KNOWN`` may be anything.

    Raises:
        SettingsError: the value is not known.

    Example:
        >>> check_label("composer", "frédéric chopin"), check_label("mood", "blue")
        ('Chopin', 'blue')
    """
    if key not in KNOWN:
        return value
    spellings = _spellings(key)
    known = spellings.get(tuple(_words(value)))
    if known is None:
        hint = _nearest_value(key, value)
        raise SettingsError(f"label {key} = {value!r}: not a known {key}; {hint} A table of labels may say anything")
    return known


def _nearest_value(key: str, value: str) -> str:
    spellings = {" ".join(words): known for words, known in _spellings(key).items()}
    close = difflib.get_close_matches(" ".join(_words(value)), spellings, n=1, cutoff=0.7)
    if close:
        return f"did you mean '{spellings[close[0]]}'?"
    values = list(KNOWN[key])
    return f"there are {len(values)}, such as {', '.join(values[:8])}."


def _words(text: str) -> list[str]:
    """Return runs of letters, in lower case and without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN_LETTERS))
    return _WORD.findall("".join(letter for letter in plain if not unicodedata.combining(letter)))


@cache
def _spellings(key: str) -> dict[tuple[str, ...], str]:
    """Return words to value. Of a composer's full name the surname may also come first."""
    found: dict[tuple[str, ...], str] = {}
    for value, others in KNOWN[key].items():
        for words in _orders([value, *others], is_person=key == "composer"):
            if found.setdefault(words, value) != value:
                raise ValueError(f"{key}: {' '.join(words)!r} stands for {found[words]!r} and for {value!r}")
    return found


def _orders(texts: Iterable[str], *, is_person: bool) -> Iterable[tuple[str, ...]]:
    for text in texts:
        words = tuple(_words(text))
        yield words
        if is_person:
            yield words[-1:] + words[:-1]


@cache
def _in_paths(key: str) -> tuple[dict[tuple[str, ...], str], int]:
    """Return the spellings that count in paths, and how many words the longest has."""
    everyday = {tuple(_words(name)) for name in EVERYDAY}
    kept = {words: value for words, value in _spellings(key).items() if words not in everyday}
    return kept, max(map(len, kept))


def _values_in(words: Sequence[str], key: str) -> Iterable[str]:
    """Yield the values that stand in words, the longest first at every place."""
    spellings, most = _in_paths(key)
    place = 0
    while place < len(words):
        for length in range(most, 0, -1):
            value = spellings.get(tuple(words[place : place + length]))
            if value is not None:
                yield value
                place += length
                break
        else:
            place += 1
