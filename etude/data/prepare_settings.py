"""Settings of ``prepare``: what enters a corpus, what belongs together, how it is split."""

from typing import Literal

from pydantic import model_validator

from etude.data.filters import FilterSettings
from etude.data.split import check_fractions
from etude.music.families import FAMILIES
from etude.settings import Settings, nearest, setting


class PrepareSettings(Settings):
    """How a corpus is made of files. All but the kind ``machine`` decide what is in it."""

    seed: int = setting(0, text="seed of the split")
    fractions: tuple[float, float, float] = setting((0.8, 0.1, 0.1), text="shares of train, valid and test")
    formats: tuple[Literal["midi", "musicxml", "abc", "midi_dict"], ...] = setting(
        ("midi",), min_length=1, text="what is read"
    )
    filters: FilterSettings = setting(FilterSettings(), text="what a piece must be")
    allow_licence: tuple[str, ...] = setting((), text="licences that may enter, such as MIT or CC BY; empty for all")
    remove_families: tuple[str, ...] = setting((), text="families of instruments that are taken out of every piece")
    extend_by_pedal: bool = setting(False, text="let notes last as long as the sustain pedal holds them")
    near_duplicates: bool = setting(True, text="find variants of one piece and keep them in one split")
    group_by: tuple[str, ...] = setting((), text="labels, such as work or performer, that keep pieces in one split")
    given_splits: Literal["keep", "ignore"] = setting("keep", text="whether splits in the labels hold")
    names: tuple[Literal["composer", "form"], ...] = setting((), text="labels that are read from names of files")
    file_limit_sec: float = setting(60.0, gt=0, unit="s", kind="machine", text="longest that one file may take")
    file_memory_mb: int = setting(1024, ge=64, unit="MB", kind="machine", text="most memory that one file may take")

    @model_validator(mode="after")
    def _check(self) -> "PrepareSettings":
        check_fractions(self.fractions)
        for name in self.remove_families:
            if name not in FAMILIES:
                raise ValueError(f"remove_families = {name!r}: {nearest(name, FAMILIES)}")
        return self
