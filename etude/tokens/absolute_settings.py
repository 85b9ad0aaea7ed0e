"""What the absolute and the relative tokenizer may be asked for; loads no numpy.

The names of composers, forms and genres are those of the published vocabulary, in its order.
"""

from typing import Literal

from pydantic import model_validator

from etude.settings import Settings, setting

Instrument = Literal[
    "piano", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe", "synth_lead"
]  # fmt: skip

INSTRUMENTS = ("piano", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe", "synth_lead")
COMPOSERS = (
    "bach",
    "beethoven",
    "mozart",
    "chopin",
    "rachmaninoff",
    "liszt",
    "debussy",
    "schubert",
    "brahms",
    "ravel",
    "satie",
    "scarlatti",
)
FORMS = ("sonata", "prelude", "nocturne", "étude", "waltz", "mazurka", "impromptu", "fugue")
GENRES = ("jazz", "classical")


class GroupSettings(Settings):
    """What both hear and what labels they have ids for."""

    instruments: tuple[Instrument, ...] = setting(
        INSTRUMENTS, text="families of instruments that have notes; the tracks of others are left out", min_length=1
    )
    drums: Literal["keep", "skip"] = setting(
        "keep", text="keep: drum keys 35 to 81 have ids; skip: leave drum tracks out"
    )
    silence: Literal["drop", "keep"] = setting(
        "drop", text="drop: time begins with the first note; keep: with the piece"
    )
    composers: tuple[str, ...] = setting(COMPOSERS, text="composers that have an id for the prefix")
    forms: tuple[str, ...] = setting(FORMS, text="musical forms that have an id for the prefix")
    genres: tuple[str, ...] = setting(GENRES, text="genres that have an id for the prefix")

    @model_validator(mode="after")
    def _check_names(self) -> "GroupSettings":
        for name in ("instruments", "composers", "forms", "genres"):
            values = getattr(self, name)
            twice = [value for place, value in enumerate(values) if value in values[:place]]
            if twice:
                raise ValueError(f"{name} = {list(values)}: {twice[0]!r} stands there twice; name each once")
        return self


class AbsoluteSettings(GroupSettings):
    """What the absolute tokenizer hears and writes."""

    kind: Literal["absolute"] = "absolute"
    pedal: Literal["extend", "ignore", "tokens", "both"] = setting(
        "extend",
        text="extend: a note released while the sustain pedal is down lasts until it comes up; tokens: the pedal has "
        "ids of its own instead; both: it extends notes and has ids",
    )
    delimiter: bool = setting(False, text="add the id DELIMITER, which is never written")
    published: bool = setting(
        False, text="round, cap and keep overlapping notes as the published encoder does, for its weights"
    )

    @model_validator(mode="after")
    def _check_pedal(self) -> "AbsoluteSettings":
        if self.pedal in ("tokens", "both") and self.instruments != ("piano",):
            raise ValueError(
                f"pedal = {self.pedal!r}: one pedal, and {len(self.instruments)} families of instruments; "
                f"set instruments = ['piano'] as well"
            )
        return self


class RelativeSettings(GroupSettings):
    """What the relative tokenizer hears."""

    kind: Literal["relative"] = "relative"
    pedal: Literal["extend", "ignore"] = setting(
        "extend", text="extend: a note released while the sustain pedal is down lasts until it comes up"
    )
