"""Conditions: what a model may be told of a piece besides its ids, each by a vector that meets those of the tokens.

A condition is one of three things:

    values        a label of the corpus, such as the genre, and the values that it may have
    thresholds    something measured from the notes of the whole piece, and what parts its bins
    num_values    something that changes from token to token, such as the notes that sound, as a number from 0

All values of all conditions are rows of one table. Row 0 is NA, nothing said; the others follow condition by
condition. This file does not need torch.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import model_validator

from etude.errors import SettingsError, nearest
from etude.settings import Settings, setting

NOT_KNOWN = "NA"
"""The value of a condition of which nothing is said."""
NO_ROW = 0
"""The row of that value, of whatever condition."""


class Condition(Settings):
    """One condition: a label with its values, something measured with thresholds, or something of each token.

    Example:
        >>> density = Condition(name="note_density", thresholds=(4.0, 8.0))
        >>> density.all_values
        ('<4', '4..8', '>=8')
        >>> density.place_of(5.5), density.place_of("4..8"), density.place_of("NA")
        (1, 1, None)
    """

    name: str = setting(text="the name of a label, of an attribute, or of what changes by token", min_length=1)
    values: tuple[str, ...] = setting((), text="values of a label; a piece with another one counts as not known")
    thresholds: tuple[float, ...] = setting((), text="what parts the bins of a measured attribute, rising")
    num_values: int = setting(0, ge=0, text="of what changes by token: values 0 to num_values - 1, the last for more")
    measured_by: str = setting(
        "", text="what measures it: an attribute's name or module:Class; by default the name itself"
    )

    @model_validator(mode="after")
    def _check(self) -> "Condition":
        if bool(self.values) + bool(self.thresholds) + bool(self.num_values) != 1:
            raise ValueError(
                f"condition {self.name!r}: expected one of values (of a label), thresholds (of something measured) "
                "and num_values (of something that changes by token)"
            )
        if "=" in self.name or "," in self.name:
            raise ValueError(f"condition {self.name!r}: a name has no '=' and no ','; call it otherwise")
        if self.measured_by and not self.thresholds:
            raise ValueError(f"condition {self.name!r}: measured_by needs thresholds")
        twice = [value for place, value in enumerate(self.values) if value in (NOT_KNOWN, *self.values[:place])]
        if twice:
            raise ValueError(f"condition {self.name!r}: value {twice[0]!r} has a row already; name each once")
        if any(a >= b for a, b in zip(self.thresholds[:-1], self.thresholds[1:], strict=True)):
            raise ValueError(f"condition {self.name!r}: thresholds = {list(self.thresholds)}: expected rising numbers")
        return self

    @property
    def is_of_tokens(self) -> bool:
        """Whether it changes from token to token."""
        return self.num_values > 0

    @property
    def all_values(self) -> tuple[str, ...]:
        """The values in the order of their rows, without NA; bins by their bounds."""
        if self.thresholds:
            return bin_names(self.thresholds)
        return self.values or tuple(str(value) for value in range(self.num_values))

    def place_of(self, value: str | float | None) -> int | None:
        """Return which of ``all_values`` is meant; None for NA.

        Args:
            value: one of them, or a number for its bin.

        Raises:
            SettingsError: there is no such value.
        """
        if value is None or value == NOT_KNOWN:
            return None
        if self.thresholds and isinstance(value, (int, float)) and value == value:
            return int(np.searchsorted(self.thresholds, value, side="right"))
        known = self.all_values
        if value not in known:
            number = ", or a number" if self.thresholds else ""
            raise SettingsError(f"condition {self.name} = {value!r}: {nearest(str(value), known)}{number}")
        return known.index(value)


class ConditionSettings(Settings):
    """All that a model may be told of a piece, and how it meets the tokens.

    Example:
        >>> told = ConditionSettings(attributes=(Condition(name="genre", values=("jazz", "pop")),
        ...                                      Condition(name="sounding", num_values=11)))
        >>> told.num_rows, told.first_rows
        (14, (1, 3))
    """

    attributes: tuple[Condition, ...] = setting((), text="labels, measured attributes, and what changes by token")
    join: Literal["add", "concatenate"] = setting(
        "add",
        text="add: the vectors of all conditions are added to the token's; concatenate: their sum is width features of "
        "model_dim, and the token has the others",
    )
    width: int = setting(36, ge=1, text="features that conditions have when they are concatenated")

    @model_validator(mode="after")
    def _check(self) -> "ConditionSettings":
        names = [one.name for one in self.attributes]
        twice = [name for place, name in enumerate(names) if name in names[:place]]
        if twice:
            raise ValueError(f"condition {twice[0]!r}: stands there twice; name each once")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all conditions, in order."""
        return tuple(one.name for one in self.attributes)

    @property
    def first_rows(self) -> tuple[int, ...]:
        """The row of the first value of each condition."""
        sizes = [len(one.all_values) for one in self.attributes]
        return tuple(1 + sum(sizes[:place]) for place in range(len(sizes)))

    @property
    def num_rows(self) -> int:
        """Rows of the table, that of NA included."""
        return 1 + sum(len(one.all_values) for one in self.attributes)

    def token_width(self, model_dim: int) -> int:
        """Return how many features of a model are those of its tokens."""
        return model_dim - self.width if self.attributes and self.join == "concatenate" else model_dim

    def rows_of(self, told: dict[str, str | float | None]) -> np.ndarray:
        """Return the rows of what is told of a piece, int64 (C,); those of tokens and of what is not told are NA.

        Raises:
            SettingsError: a condition that there is not, that is of tokens, or a value that it does not have.
        """
        for name in told:
            if name not in self.names:
                raise SettingsError(f"condition {name!r}: no such condition; {nearest(name, self.names)}")
        return np.array([self._row(place, told.get(one.name)) for place, one in enumerate(self.attributes)], np.int64)

    def _row(self, place: int, value: str | float | None) -> int:
        one = self.attributes[place]
        if one.is_of_tokens and value is not None:
            raise SettingsError(
                f"condition {one.name} = {value!r}: it is counted from token to token as the piece is written, and "
                "cannot be asked for; leave it out"
            )
        found = one.place_of(value)
        return NO_ROW if found is None else self.first_rows[place] + found


def bin_names(thresholds: Sequence[float]) -> tuple[str, ...]:
    """Return the names of the bins that thresholds part; each threshold belongs to the bin above it.

    Example:
        >>> bin_names([0.5])
        ('<0.5', '>=0.5')
    """
    bounds = [f"{threshold:g}" for threshold in thresholds]
    between = [f"{low}..{high}" for low, high in zip(bounds[:-1], bounds[1:], strict=True)]
    return (f"<{bounds[0]}", *between, f">={bounds[-1]}")
