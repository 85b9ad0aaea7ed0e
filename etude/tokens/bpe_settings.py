"""Settings of learned merges, and where a word of ids begins: no merge reaches over the beginning of a word."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from etude.errors import SettingsError
from etude.registry import chosen_by_kind
from etude.settings import Settings, setting
from etude.tokens import TOKENIZERS
from etude.tokens.files import tokenizer_of_file
from etude.tokens.id_facts import NO_INSTRUMENT, NO_PITCH, IdFacts

Within = Literal["note", "bar", "piece"]

Base = chosen_by_kind(TOKENIZERS, where="tokenizer.base", default="performance")


class BpeSettings(Settings):
    """Merges over the ids of another tokenizer."""

    kind: Literal["bpe"] = "bpe"
    base: Base = setting("performance", text="kind and settings of the tokenizer whose ids are merged")
    within: Within = setting(
        "note",
        text="what no merge reaches over: the group of ids of a note, or of a moment where notes have no group "
        "of their own; a bar; or only the piece",
    )
    merges: tuple[tuple[int, int], ...] = setting(
        (), text="pairs of ids in the order in which they were learned; each makes the next id"
    )
    file: str = setting(
        "", kind="machine", text="a tokenizer that `etude tokenize --bpe` wrote, instead of all other settings"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_file(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not values.get("file"):
            return _with_tuples(values)
        others = values.keys() - {"kind", "file"}
        if others:
            raise ValueError(f"file = {values['file']!r}: it holds {min(others)} already; give one of them")
        tokenizer = tokenizer_of_file(Path(values["file"]))
        if not isinstance(tokenizer.settings, BpeSettings):
            raise ValueError(f"file = {values['file']!r}: a tokenizer of kind {tokenizer.kind!r}, expected 'bpe'")
        return _with_tuples(tokenizer.settings.plain())


def _with_tuples(values: Any) -> Any:
    """Return values with the tuples that JSON has as lists; what is wrong stays wrong."""
    merges = values.get("merges") if isinstance(values, dict) else None
    if not isinstance(merges, list):
        return values
    return values | {"merges": tuple(tuple(pair) if isinstance(pair, list) else pair for pair in merges)}


def begins_word(facts: IdFacts, within: Within) -> np.ndarray:
    """Return which ids begin a word, bool (V,).

    Args:
        facts: of the base.
        within: see ``BpeSettings``.

    Raises:
        SettingsError: bars are asked for, and no id begins one.
    """
    if within == "piece":
        return np.zeros_like(facts.opens_bar)
    if within == "bar":
        if not facts.opens_bar.any():
            raise SettingsError("tokenizer.within = 'bar': no id of the base begins a bar; expected note or piece")
        return facts.opens_bar
    changes_instrument = (facts.instrument != NO_INSTRUMENT) & (facts.pitch == NO_PITCH)
    begins = facts.opens_bar | facts.moves_time | changes_instrument
    # where notes end with ids of their own, what happens at one moment is the group
    return begins if facts.ends_note.any() else begins | facts.starts_note
