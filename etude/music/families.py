"""Families of instruments: the sixteen of General MIDI, eight programs each, and drums.

Loads no numpy, for settings name families.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from etude.errors import SettingsError, nearest

if TYPE_CHECKING:
    from etude.music.score import Score

FAMILIES = (
    "piano",
    "chromatic_percussion",
    "organ",
    "guitar",
    "bass",
    "strings",
    "ensemble",
    "brass",
    "reed",
    "pipe",
    "synth_lead",
    "synth_pad",
    "synth_effects",
    "ethnic",
    "percussive",
    "sound_effects",
    "drums",
)
"""In the order of the programs, eight to a family; drum kits, whatever their program, are the last."""

DRUMS = FAMILIES[-1]
PROGRAMS_IN_A_FAMILY = 8


def family_of(program: int, *, is_drum: bool = False) -> str:
    """Return the family of an instrument.

    Args:
        program: General MIDI program, 0 to 127.
        is_drum: whether it is a drum kit, whose program does not count.

    Raises:
        ValueError: there is no such program.

    Example:
        >>> family_of(40), family_of(40, is_drum=True)
        ('strings', 'drums')
    """
    if not 0 <= program <= 127:
        raise ValueError(f"program = {program}: expected 0 to 127")
    return DRUMS if is_drum else FAMILIES[program // PROGRAMS_IN_A_FAMILY]


def remove_families(score: "Score", names: Iterable[str]) -> "Score":
    """Take the instruments of some families out, with their controls, bends and words.

    Args:
        score: the piece.
        names: some of ``FAMILIES``.

    Raises:
        SettingsError: there is no such family.

    Example:
        >>> from etude.music.score import Score, Track
        >>> duo = Score.of([0, 0], [480, 480], [60, 40], track=[0, 1], tracks=[Track(0), Track(33)])
        >>> remove_families(duo, ["bass"]).notes.pitch
        array([60], dtype=int32)
    """
    from etude.music.edit import select_tracks  # here, for it loads numpy

    names = set(names)
    for name in sorted(names - set(FAMILIES)):
        raise SettingsError(f"remove_families = {name!r}: {nearest(name, FAMILIES)}")
    kept = [k for k, one in enumerate(score.tracks) if family_of(one.program, is_drum=one.is_drum) not in names]
    return score if len(kept) == len(score.tracks) else select_tracks(score, kept)
