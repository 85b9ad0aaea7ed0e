"""Control tokens: what stands before a piece and says what it is to be.

A prefix is one id for each attribute, in the order of the attributes, and SEP. In fixed order every attribute has its
id, NA where nothing is said; in short order only what is said is written. V is the number of ids of the base.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from etude.errors import TokenError, nearest
from etude.tokens.control_settings import NOT_KNOWN, ControlAttribute
from etude.tokens.grammar import ANY, Grammar
from etude.tokens.grammar_copying import CopyingGrammar

SEP = "CONTROL_SEP"
"""The name of the id that ends a prefix."""

Conditions = Mapping[str, str | float | None]

_BODY, _NOTHING = -1, 0


class ControlTokens:
    """The ids of attributes and their values.

    Args:
        attributes: in the order of the prefix.
        order: ``fixed`` or ``short``.
        ids: of the values and NA of each attribute, one attribute after the other, and of SEP, (N,); by default 0 to
            N - 1.

    Example:
        >>> composer = ControlAttribute(name="composer", values=("Bach", "Chopin"))
        >>> density = ControlAttribute(name="note_density", thresholds=(4.0, 8.0))
        >>> tokens = ControlTokens((composer, density))
        >>> tokens.names
        ('composer=Bach', 'composer=Chopin', 'composer=NA', 'note_density=<4', 'note_density=4..8', \
'note_density=>=8', 'note_density=NA', 'CONTROL_SEP')
        >>> tokens.prefix({"note_density": 5.5})
        array([2, 4, 7], dtype=int32)
        >>> ControlTokens((composer, density), order="short").prefix({"note_density": 5.5})
        array([4, 7], dtype=int32)
    """

    def __init__(
        self, attributes: Sequence[ControlAttribute], *, order: str = "fixed", ids: np.ndarray | None = None
    ) -> None:
        self.attributes = tuple(attributes)
        self.order = order
        words = [f"{one.name}={value}" for one in self.attributes for value in (*one.all_values, NOT_KNOWN)]
        self.names = (*words, SEP)
        """The names of all control tokens, in their order."""
        self.ids = np.arange(len(self.names), dtype=np.int32) if ids is None else np.asarray(ids, np.int32)
        self.sep_id = int(self.ids[-1])
        counts = [len(one.all_values) + 1 for one in self.attributes]
        self.attribute_of = np.repeat(np.arange(len(counts)), counts)
        """Which attribute each token but SEP belongs to, (N - 1,)."""
        self._id_of = dict(zip(self.names, self.ids.tolist(), strict=True))
        self._name_of = dict(zip(self.ids.tolist(), self.names, strict=True))

    def prefix(self, conditions: Conditions) -> np.ndarray:
        """Return the ids that ask for conditions, int32, SEP last.

        Args:
            conditions: values by attribute; a number stands for its bin, None and ``"NA"`` for nothing said.

        Raises:
            TokenError: no such attribute, or no id for a value.
        """
        known = [one.name for one in self.attributes]
        unknown = [name for name in conditions if name not in known]
        if unknown:
            raise TokenError(f"condition {unknown[0]!r}: no such attribute; {nearest(unknown[0], known)}")
        values = [self._value(one, conditions.get(one.name)) for one in self.attributes]
        told = [
            f"{one.name}={value}"
            for one, value in zip(self.attributes, values, strict=True)
            if self.order == "fixed" or value != NOT_KNOWN
        ]
        return np.array([self._id_of[name] for name in (*told, SEP)], np.int32)

    def conditions_of(self, ids: np.ndarray) -> dict[str, str]:
        """Return what the control tokens among ids say; NA is nothing said.

        Example:
            >>> key = ControlAttribute(name="key", values=("C", "G"))
            >>> ControlTokens((key,)).conditions_of(np.array([1, 3]))
            {'key': 'G'}
        """
        words = [self._name_of[one] for one in np.asarray(ids).tolist() if one in self._name_of]
        pairs = [word.split("=", 1) for word in words if word != SEP]
        return {name: value for name, value in pairs if value != NOT_KNOWN}

    def without(self, prefix: np.ndarray, names: Collection[str]) -> np.ndarray:
        """Return a prefix that says nothing of some attributes."""
        told = self.conditions_of(prefix)
        return self.prefix({name: value for name, value in told.items() if name not in names})

    def _value(self, one: ControlAttribute, value: str | float | None) -> str:
        if value is None or value == NOT_KNOWN:
            return NOT_KNOWN
        if one.thresholds and isinstance(value, (int, float)) and value == value:
            return one.bin_of(value)
        if value not in one.all_values:
            number = ", or a number" if one.thresholds else ""
            raise TokenError(f"condition {one.name} = {value!r}: {nearest(str(value), one.all_values)}{number}")
        return str(value)


def grammar_with_prefix(base: Grammar, tokens: ControlTokens, vocab_size: int) -> Grammar:
    """Return the rules of a prefix followed by those of a piece; a piece without a prefix is legal too.

    One cell is added: -1 in the piece, 0 at its beginning, k + 1 in a prefix after attribute k.

    Args:
        base: rules of the piece, V ids.
        tokens: ids from V on, or in place of ids that are never legal.
        vocab_size: of both.
    """
    size, cells = base.vocab_size, len(base.initial)
    num_new, needs, adds = vocab_size - size, base.need_cell.shape[1], base.add_cell.shape[1]

    def grown(table: np.ndarray, new: int, fill: int) -> np.ndarray:
        """Add columns, then rows for new ids."""
        return np.pad(table, ((0, num_new), (0, new)), constant_values=fill)

    need_cell, need_low, need_high = grown(base.need_cell, 1, cells), base.need_low, base.need_high
    need_low, need_high = grown(need_low, 1, _BODY), grown(need_high, 1, _NOTHING)
    add_cell, add_value = grown(base.add_cell, 1, cells), grown(base.add_value, 1, _BODY)
    rule = np.pad(base.rule, (0, num_new))
    num_rules = len(base.scale)
    # every id sets the new cell anew
    scale = np.pad(base.scale, ((0, 1), (0, 1)), constant_values=1)
    scale[:, cells] = 0
    cap = np.pad(base.cap, ((0, 1), (0, 1)), constant_values=ANY)
    after = np.append(tokens.attribute_of + 1, _BODY)
    latest = np.append(tokens.attribute_of, len(tokens.attributes))
    ids = tokens.ids
    need_cell[ids], need_low[ids], need_high[ids] = 0, -ANY, ANY
    need_cell[ids, needs] = cells
    need_low[ids, needs] = latest if tokens.order == "fixed" else 0
    need_high[ids, needs] = latest
    add_cell[ids], add_value[ids] = 0, 0
    add_cell[ids, adds], add_value[ids, adds] = cells, after
    rule[ids] = num_rules
    tables = {
        "need_cell": need_cell,
        "need_low": need_low,
        "need_high": need_high,
        "rule": rule,
        "scale": scale,
        "cap": cap,
        "add_cell": add_cell,
        "add_value": add_value,
    }
    if isinstance(base, CopyingGrammar):
        own = np.arange(cells + 1)
        tables["source"] = np.vstack([np.column_stack([base.source, np.full(num_rules, cells)]), own])
    initial = np.append(base.initial, _NOTHING).astype(np.int32)
    return replace(base, initial=initial, **{name: table.astype(np.int32) for name, table in tables.items()})
