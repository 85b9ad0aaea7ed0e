"""Settings of control tokens: which attributes a piece may be asked for, and what each of them may be.

An attribute is either a label, with the values that have an id, or measured from the notes, with thresholds between
its bins. What is measured may be anything in ``etude.attributes``, or a class of your own by ``module:Class``.
"""

import math
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from etude.attributes import attribute
from etude.music.score import Score
from etude.registry import chosen_by_kind
from etude.settings import Settings, setting
from etude.tokens import TOKENIZERS

NOT_KNOWN = "NA"
"""The value of an attribute of which nothing is said."""

Base = chosen_by_kind(TOKENIZERS, where="tokenizer.base", default="performance")


class ControlAttribute(Settings):
    """One attribute: a label with its values, or something measured with thresholds.

    Example:
        >>> density = ControlAttribute(name="note_density", thresholds=(4.0, 8.0))
        >>> density.all_values
        ('<4', '4..8', '>=8')
        >>> density.bin_of(5.5)
        '4..8'
    """

    name: str = setting(text="the name of a label, or of an attribute in etude.attributes", min_length=1)
    values: tuple[str, ...] = setting((), text="values of a label that have an id; others count as not known")
    thresholds: tuple[float, ...] = setting((), text="what parts the bins of a measured attribute, rising")
    measured_by: str = setting(
        "", text="what measures it: an attribute's name or module:Class; by default the name itself"
    )

    @model_validator(mode="after")
    def _check(self) -> "ControlAttribute":
        if bool(self.values) == bool(self.thresholds):
            raise ValueError(
                f"attribute {self.name!r}: expected the values of a label, or the thresholds of something measured; "
                f'give values=["a", "b"] or thresholds=[1.0, 2.0]'
            )
        if "=" in self.name:
            raise ValueError(f"attribute {self.name!r}: a name has no '='; call it otherwise, and set measured_by")
        if self.measured_by and not self.thresholds:
            raise ValueError(f"attribute {self.name!r}: measured_by needs thresholds; a label has values alone")
        twice = [value for place, value in enumerate(self.values) if value in (NOT_KNOWN, *self.values[:place])]
        if twice:
            raise ValueError(f"attribute {self.name!r}: value {twice[0]!r} has an id already; name each once")
        if any(a >= b for a, b in zip(self.thresholds[:-1], self.thresholds[1:], strict=True)):
            raise ValueError(f"attribute {self.name!r}: thresholds = {list(self.thresholds)}: expected rising numbers")
        return self

    @property
    def all_values(self) -> tuple[str, ...]:
        """The values that have ids, bins by their bounds, without NA."""
        if self.values:
            return self.values
        bounds = [f"{threshold:g}" for threshold in self.thresholds]
        between = [f"{low}..{high}" for low, high in zip(bounds[:-1], bounds[1:], strict=True)]
        return (f"<{bounds[0]}", *between, f">={bounds[-1]}")

    @property
    def measure(self) -> Any:
        """The class in ``etude.attributes`` that measures it; None for a label.

        Raises:
            SettingsError: there is none of that name.
        """
        return attribute(self.measured_by or self.name) if self.thresholds else None

    def bin_of(self, value: float) -> str:
        """Return the bin of a number; a threshold belongs to the bin above it."""
        return self.all_values[int(np.searchsorted(self.thresholds, value, side="right"))]

    def value_of(self, labels: dict[str, str], score: Score) -> str | None:
        """Return the value of a piece, or None where it is not known or has no id."""
        if self.thresholds:
            measured = self.measure.measure(score)
            return None if measured is None or math.isnan(measured) else self.bin_of(measured)
        value = labels.get(self.name)
        return value if value in self.values else None


class ControlSettings(Settings):
    """A tokenizer with a prefix of control tokens before each piece."""

    kind: Literal["control"] = "control"
    base: Base = setting("performance", text="the tokenizer of the piece itself")
    attributes: tuple[ControlAttribute, ...] = setting((), text="what the prefix may tell, in its order")
    order: Literal["fixed", "short"] = setting(
        "fixed", text="fixed: every attribute is written, NA where nothing is known; short: only what is known"
    )
    in_place_of: tuple[str, ...] = setting(
        (), text="names of ids that the base never writes, whose places control tokens take before new ones are added"
    )

    @model_validator(mode="after")
    def _check(self) -> "ControlSettings":
        for what, names in (("attribute", [one.name for one in self.attributes]), ("id", list(self.in_place_of))):
            twice = [name for place, name in enumerate(names) if name in names[:place]]
            if twice:
                raise ValueError(f"{what} {twice[0]!r}: stands there twice; name each once")
        if getattr(self.base, "kind", "") == "control":
            raise ValueError("base.kind = 'control': one prefix is enough; put all attributes into it")
        return self
