"""Bins: the few names that the values of an attribute fall into, always in one order, NA last.

A value is a number, a word, or a tuple of words (several may hold at once). None is NA: nothing is known.
Numbers fall between edges; whether an edge itself belongs to the bin below or above it is said for each. A number
within a billionth of an edge counts as on it, so that 15 seconds added up from quarter notes are 15 seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from etude.errors import SettingsError, nearest

NA = "NA"
"""The name of the bin of what is not known."""

Value = float | str | tuple[str, ...] | None

_ON_EDGE = 1e-9


@dataclass(frozen=True)
class Bins:
    """Names in order and how a value falls into one of them; built by ``of_edges``, ``of_words`` or ``of_sets``.

    Example:
        >>> tempo = Bins.of_edges(("slow", "moderate", "fast"), (76, 120), ("below", "above"))
        >>> tempo.bin_of(76), tempo.bin_of(77), tempo.bin_of(120), tempo.bin_of(None)
        ('slow', 'moderate', 'fast', 'NA')
        >>> tempo.index("fast"), tempo.index(None)
        (2, 3)
    """

    names: tuple[str, ...]
    """In order; the last is NA."""
    kind: str
    """What a value is: ``number``, ``word`` or ``set``."""
    edges: tuple[float, ...] = ()
    edge_goes: tuple[str, ...] = ()
    other: str | None = None
    """The bin of every word that is no name."""
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Other spellings, in lower case, to names."""

    @classmethod
    def of_edges(cls, names: Sequence[str], edges: Sequence[float], goes: str | Sequence[str] = "above") -> "Bins":
        """Return bins of numbers: one name more than edges, each edge going ``below`` or ``above``."""
        goes = (goes,) * len(edges) if isinstance(goes, str) else tuple(goes)
        if not len(names) - 1 == len(edges) == len(goes) or list(edges) != sorted(set(edges)):
            raise ValueError(f"{len(names)} names, edges {list(edges)}: expected rising edges, one fewer than names")
        return cls((*names, NA), "number", tuple(map(float, edges)), goes)

    @classmethod
    def of_words(cls, names: Sequence[str], *, other: str | None = None, **more: Mapping[str, str]) -> "Bins":
        """Return bins of words, of which one holds at a time; ``other`` takes all words that are no names."""
        return cls((*names, NA), "word", other=other, **more)

    @classmethod
    def of_sets(cls, names: Sequence[str], **more: Mapping[str, str]) -> "Bins":
        """Return names of which any may hold at once."""
        return cls((*names, NA), "set", **more)

    def bin_of(self, value: Value) -> str | tuple[str, ...]:
        """Return the name of the bin of a value, or, of a set, its names in order.

        Args:
            value: as ``measure`` gives it, or the name of a bin.

        Raises:
            SettingsError: no number, or a word that is no name.
        """
        if value is None or value == NA:
            return NA
        if self.kind == "set":
            words = (value,) if isinstance(value, str) else value
            held = {self._name(word) for word in words}
            return tuple(name for name in self.names if name in held)
        if self.kind == "number" and not isinstance(value, str):
            return self.names[self._place(float(value))]
        return self._name(value)

    def index(self, value: Value) -> int:
        """Return the place of a value's bin in ``names``; not for sets.

        Raises:
            SettingsError: no number, or a word that is no name.
            TypeError: a set has no one place.
        """
        if self.kind == "set":
            raise TypeError("a set falls into several bins; ask for bin_of")
        return self.names.index(self.bin_of(value))

    def parse(self, text: str) -> Value:
        """Return what somebody typed as a value: a number, a name, names joined by ``+``, or NA.

        Raises:
            SettingsError: neither.

        Example:
            >>> Bins.of_sets(("piano", "drums")).parse("drums + piano")
            ('piano', 'drums')
        """
        text = text.strip()
        if text.casefold() == NA.casefold():
            return None
        if self.kind == "set":
            return self.bin_of(tuple(part.strip() for part in text.split("+")))
        if self.kind == "number":
            try:
                number = float(text)
            except ValueError:
                return self._name(text)
            self._place(number)
            return number
        # a word of one's own stays what it is where there is a bin for such words
        return text if self._known(text) is None and self.other is not None else self._name(text)

    def _known(self, word: str) -> str | None:
        folded = word.strip().casefold()
        names = {name.casefold(): name for name in self.names[:-1]}
        return names.get(folded, self.aliases.get(folded))

    def _name(self, word: str) -> str:
        found = self._known(word) if isinstance(word, str) else None
        found = self.other if found is None else found
        if found is None:
            number = ", or a number" if self.kind == "number" else ""
            raise SettingsError(f"value {word!r}: {nearest(str(word), self.names)}{number}")
        return found

    def _place(self, number: float) -> int:
        if number != number:
            raise SettingsError("value nan: expected a number; what is not known is None")
        place = 0
        for edge, goes in zip(self.edges, self.edge_goes, strict=True):
            is_on = abs(number - edge) <= _ON_EDGE * max(1.0, abs(edge))
            place += (goes == "above") if is_on else (number > edge)
        return place
