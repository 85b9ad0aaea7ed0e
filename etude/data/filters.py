"""What a piece must be to enter a corpus; a file that breaks a rule is in the ledger with the measured value.

A rule is the name of a setting below: ``min_…`` and ``max_…`` are bounds, and bounds themselves are allowed. A
rule on windows has several bounds, each with the length of its window; ``max_notes_per_sec_in_window[3s]`` is
one. ``docs/filters.md`` lists the rules. Loads no numpy until a piece is judged.
"""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from etude.settings import Settings, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etude.music.score import Score

Positive = Annotated[float, Field(gt=0)]
Window = tuple[Positive, Positive]
"""A bound, and the length of the window in seconds."""

# one part in a billion: 30 s in a tempo of 500,000 µs may sum up to a little less
_ROUNDING = 1e-9


class FilterSettings(Settings):
    """What a piece must be; a rule that is none, or has no windows, is off."""

    min_notes: int = setting(1, ge=1, unit="notes", text="notes")
    # a slip in a file, such as one wait of 200 million ticks, makes hours of silence; tokenizers go no further
    max_hours: float = setting(24.0, gt=0, unit="h", text="end of the last note, from the start of the file")
    max_programs: int | None = setting(None, ge=0, unit="programs", text="different programs that play; no drums")
    max_families: int | None = setting(
        None, ge=1, unit="families", text="different families of instruments that play, drums being one"
    )
    min_length_sec: float | None = setting(None, ge=0, unit="s", text="time from the first onset to the last end")
    max_length_sec: float | None = setting(None, gt=0, unit="s", text="time from the first onset to the last end")
    max_silence_sec: float | None = setting(
        None, ge=0, unit="s", text="longest time between notes with no key down; the pedal does not count"
    )
    min_notes_per_sec: float | None = setting(None, ge=0, unit="notes/s", text="notes over length")
    max_notes_per_sec: float | None = setting(None, gt=0, unit="notes/s", text="notes over length")
    min_notes_per_sec_per_family: float | None = setting(
        None, ge=0, unit="notes/s", text="notes over length and number of families"
    )
    max_notes_per_sec_per_family: float | None = setting(
        None, gt=0, unit="notes/s", text="notes over length and number of families"
    )
    max_notes_per_sec_in_window: tuple[Window, ...] = setting(
        (), unit="notes/s, s", text="notes a second in the fullest window of that length"
    )
    max_repeats_per_sec_in_window: tuple[Window, ...] = setting(
        (), unit="notes/s, s", text="notes of one pitch a second in the fullest window of that length; no drums"
    )
    min_mean_velocity: float | None = setting(None, ge=0, le=127, text="mean velocity")
    max_mean_velocity: float | None = setting(None, ge=0, le=127, text="mean velocity")
    min_mean_duration_sec: float | None = setting(None, ge=0, unit="s", text="mean length of a note; no drums")
    max_mean_duration_sec: float | None = setting(None, gt=0, unit="s", text="mean length of a note; no drums")
    min_pitches: int | None = setting(None, ge=0, le=128, unit="pitches", text="different pitches; no drums")
    min_pitches_in_window: tuple[Window, ...] = setting(
        (),
        unit="pitches, s",
        text="different pitches in the poorest window of that length within the piece, or in a shorter piece; no drums",
    )
    min_pitch_entropy_bits: float | None = setting(None, ge=0, unit="bits", text="entropy of the pitches; no drums")
    min_duration_entropy_bits: float | None = setting(
        None, ge=0, unit="bits", text="entropy of note lengths, in steps of 10 ms up to 5 s; no drums"
    )
    min_interval_entropy_bits: float | None = setting(
        None, ge=0, unit="bits", text="entropy of times between onsets, in steps of 10 ms up to 5 s; no drums"
    )
    min_section_divergence_bits: float | None = setting(
        None,
        ge=0,
        unit="bits",
        text="largest divergence between the pitches of two fifths of a long piece; less is one thing over and over",
    )
    sections_from_minutes: float = setting(
        20.0, ge=0, unit="min", text="length from which on a piece is long, for `min_section_divergence_bits`"
    )

    @model_validator(mode="after")
    def _check(self) -> "FilterSettings":
        for low, least in ((name, getattr(self, name)) for name in type(self).model_fields):
            high = low.replace("min_", "max_", 1)
            most = getattr(self, high, None) if low.startswith("min_") else None
            if least is not None and most is not None and least > most:
                raise ValueError(f"{low} = {least:g}: more than {high} = {most:g}; nothing could pass")
        return self


_PLAYABLE: dict[str, Any] = {
    "max_notes_per_sec_in_window": ((60.0, 3.0), (45.0, 5.0), (40.0, 10.0), (30.0, 45.0)),
    "max_repeats_per_sec_in_window": ((15.0, 3.0), (10.0, 5.0), (8.0, 10.0), (6.0, 45.0)),
}

FILTER_PRESETS: dict[str, dict[str, Any]] = {
    "none": {},
    "aria": {
        "max_programs": 12,
        "max_families": 7,
        "min_length_sec": 30.0,
        "max_length_sec": 7200.0,
        "max_silence_sec": 20.0,
        "min_notes_per_sec": 1.5,
        "max_notes_per_sec": 30.0,
        "min_notes_per_sec_per_family": 1.0,
        "max_notes_per_sec_per_family": 25.0,
        **_PLAYABLE,
        "min_mean_velocity": 20.0,
        "max_mean_velocity": 105.0,
        "min_pitches": 12,
        "min_pitches_in_window": ((5.0, 30.0), (8.0, 60.0), (10.0, 120.0)),
        "min_pitch_entropy_bits": 3.0,
        "min_duration_entropy_bits": 2.5,
        "min_section_divergence_bits": 0.2,
    },
    "aria-2023": {
        "max_programs": 7,
        "max_families": 5,
        "min_length_sec": 20.0,
        "min_notes_per_sec": 1.5,
        "max_notes_per_sec": 25.0,
        "min_notes_per_sec_per_family": 0.5,
        "max_notes_per_sec_per_family": 15.0,
    },
    "playable": _PLAYABLE,
}
"""Named settings. ``aria`` has every threshold that Aria's configuration of 2025 lists, ``aria-2023`` those that
its first version applied; ``playable`` keeps out what is too dense for a pianist, and nothing else."""


def broken_rules(score: "Score", settings: FilterSettings) -> list[tuple[str, float]]:
    """Return the rules that a piece breaks and what was measured, in the order of the settings.

    Of a piece without notes nothing but their number is measured.

    Args:
        score: the piece.
        settings: the rules; what is off costs nothing.

    Example:
        >>> from etude.music.score import Score
        >>> scale = Score.of([0, 480, 960], [480, 480, 480], [60, 62, 64])
        >>> broken_rules(scale, FilterSettings(min_length_sec=1.5, max_notes_per_sec=1.0, min_pitches=4))
        [('max_notes_per_sec', 2.0), ('min_pitches', 3.0)]
    """
    if not len(score.notes):
        return [("min_notes", 0.0)]
    from etude.data.rules import RULES, Measures  # here, for it loads numpy

    measures = Measures(score)
    broken = []
    for rule in RULES:
        for name, bound, other in _bounds(rule, settings):
            value = float(rule.measure(measures, *other))
            slack = _ROUNDING * abs(bound)
            if value < bound - slack if rule.name.startswith("min_") else value > bound + slack:
                broken.append((name, value))
    return broken


def _bounds(rule: Any, settings: FilterSettings) -> "Iterator[tuple[str, float, tuple[float, ...]]]":
    """Yield the name of each bound of a rule, the bound, and what else its measure needs."""
    value = getattr(settings, rule.name)
    if isinstance(value, tuple):
        for bound, window_sec in value:
            yield f"{rule.name}[{window_sec:g}s]", bound, (window_sec,)
    elif value is not None:
        yield rule.name, value, (getattr(settings, rule.with_setting),) if rule.with_setting else ()
