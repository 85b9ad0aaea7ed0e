"""Where the ids of the absolute and the relative tokenizer lie: which numbers each kind has, and their names.

In id order, the published one:
    START END PAD UNKNOWN NEAR_END (SEGMENT) | WITH_ and the instrument, drums last | COMPOSER_ | FORM_ | GENRE_
    | instrument, pitch 0..127, velocity 0..120 by 10 | DRUM_35..81 | DURATION_0..5000 by 10 ms
    | ONSET_0..4990 by 10 ms, or WAIT_0..5000 | PEDAL_DOWN PEDAL_UP | DELIMITER
A *voice* is a key of an instrument, 128 * instrument + pitch, drums being the instrument after the last. The
*code* of a note is what its id is above ``Layout.note``: 13 * voice + level, and for drums what follows.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from etude.tokens.absolute_settings import INSTRUMENTS, AbsoluteSettings, RelativeSettings
from etude.tokens.vocab import Vocab

START, END, PAD, UNKNOWN, NEAR_END, SEGMENT = range(6)
LEVELS = 13
"""Velocities 0, 10, ... 120; the first is never written."""
FIRST_DRUM, LAST_DRUM = 35, 81
STEPS_PER_SEC = 100
SEGMENT_STEPS = 500
"""Steps of 10 ms in a segment of 5 s."""
LONGEST = 500
"""Steps in the longest duration and the longest wait."""
FIRST_PROGRAM = dict(zip(INSTRUMENTS, (0, 16, 24, 32, 40, 48, 56, 64, 73, 80), strict=True))
"""The program that an instrument decodes to."""

# what an id is to a reader of ids
NOTHING, IS_NOTE, IS_DRUM, IS_PEDAL, IS_TIME, IS_DURATION, IS_SEGMENT, IS_SILENT = range(8)


@dataclass(frozen=True)
class Layout:
    """The first id of each kind; kinds that a vocabulary lacks have no ids there."""

    instruments: tuple[str, ...]
    has_drums: bool
    has_segments: bool
    labels: tuple[tuple[str, tuple[str, ...]], ...]
    """Of composer, form and genre the values that have ids."""
    has_pedal: bool = False
    has_delimiter: bool = False

    @cached_property
    def instrument(self) -> int:
        """The id that announces the first instrument."""
        return SEGMENT + self.has_segments

    @cached_property
    def label(self) -> dict[str, int]:
        """The first id of composers, forms and genres."""
        first, result = self.instrument + len(self.instruments) + self.has_drums, {}
        for key, values in self.labels:
            result[key] = first
            first += len(values)
        return result

    @cached_property
    def note(self) -> int:
        """The id of code 0."""
        return self.instrument + len(self.instruments) + self.has_drums + sum(len(values) for _, values in self.labels)

    @cached_property
    def drum_code(self) -> int:
        """The code of the first drum key."""
        return len(self.instruments) * 128 * LEVELS

    @cached_property
    def duration(self) -> int:
        """The id of the duration 0."""
        return self.note + self.drum_code + self.has_drums * (LAST_DRUM - FIRST_DRUM + 1)

    @cached_property
    def time(self) -> int:
        """The id of the onset 0, or of the wait 0."""
        return self.duration + LONGEST + 1

    @cached_property
    def pedal(self) -> int:
        """PEDAL_DOWN; PEDAL_UP follows."""
        return self.time + (SEGMENT_STEPS if self.has_segments else LONGEST + 1)

    @cached_property
    def delimiter(self) -> int:
        """DELIMITER."""
        return self.pedal + 2 * self.has_pedal

    @cached_property
    def size(self) -> int:
        """The number of ids."""
        return self.delimiter + self.has_delimiter

    @cached_property
    def vocab(self) -> Vocab:
        """The names of all ids."""
        names = ["START", "END", "PAD", "UNKNOWN", "NEAR_END"] + ["SEGMENT"] * self.has_segments
        names += [f"WITH_{one.upper()}" for one in self.instruments] + ["WITH_DRUMS"] * self.has_drums
        names += [f"{key}_{value}".upper() for key, values in self.labels for value in values]
        for one in map(str.upper, self.instruments):
            names += [f"{one}_{pitch}_{10 * level}" for pitch in range(128) for level in range(LEVELS)]
        names += [f"DRUM_{key}" for key in range(FIRST_DRUM, LAST_DRUM + 1)] if self.has_drums else []
        names += [f"DURATION_{10 * step}" for step in range(LONGEST + 1)]
        word = "ONSET" if self.has_segments else "WAIT"
        names += [f"{word}_{10 * step}" for step in range(self.pedal - self.time)]
        names += ["PEDAL_DOWN", "PEDAL_UP"] * self.has_pedal + ["DELIMITER"] * self.has_delimiter
        return Vocab(names)

    @cached_property
    def kinds(self) -> np.ndarray:
        """What each id is to a reader: ``IS_NOTE`` and so on, uint8 (V,)."""
        kinds = np.full(self.size, NOTHING, np.uint8)
        kinds[[PAD, NEAR_END]] = IS_SILENT
        if self.has_segments:
            kinds[SEGMENT] = IS_SEGMENT
        kinds[self.note : self.note + self.drum_code] = IS_NOTE
        kinds[self.note + self.drum_code : self.duration] = IS_DRUM
        kinds[self.duration : self.time] = IS_DURATION
        kinds[self.time : self.pedal] = IS_TIME
        kinds[self.pedal : self.delimiter] = IS_PEDAL
        kinds[self.delimiter :] = IS_SILENT
        return kinds

    def prefix(self, present: Iterable[int], labels: Mapping[str, str]) -> list[int]:
        """Return what stands before a piece, START included, in id order.

        Args:
            present: the instruments that play, rising.
            labels: values by label; those without an id are left out.
        """
        ids = [self.instrument + one for one in present]
        if labels:
            told = ((key, plain(labels.get(key, ""))) for key, _ in self.labels)
            ids += [self._label_ids[one] for one in told if one in self._label_ids]
        return [*ids, START]

    @cached_property
    def _label_ids(self) -> dict[tuple[str, str], int]:
        return {
            (key, plain(value)): self.label[key] + place
            for key, values in self.labels
            for place, value in enumerate(values)
        }

    def labels_of(self, ids: np.ndarray) -> dict[str, str]:
        """Return the labels that ids tell."""
        told = {}
        for key, values in self.labels:
            found = ids[(ids >= self.label[key]) & (ids < self.label[key] + len(values))]
            if found.size:
                told[key] = values[int(found[0]) - self.label[key]]
        return told


@lru_cache(maxsize=16)
def layout_of(settings: AbsoluteSettings | RelativeSettings) -> Layout:
    """Return the ids that settings ask for."""
    labels = (("composer", settings.composers), ("form", settings.forms), ("genre", settings.genres))
    is_absolute = isinstance(settings, AbsoluteSettings)
    return Layout(
        instruments=settings.instruments,
        has_drums=settings.drums == "keep",
        has_segments=is_absolute,
        labels=labels,
        has_pedal=settings.pedal in ("tokens", "both"),
        has_delimiter=is_absolute and settings.delimiter,
    )


def plain(text: str) -> str:
    """Return a name without case and accents: ``Étude`` is ``etude``."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
