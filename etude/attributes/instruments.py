"""Instruments: which of MuseCoco's 28 classes sound in a piece.

All 128 General MIDI programs and drum kits are covered; drum kits count as drums whatever their program.
"""

import numpy as np

from etude.attributes.bins import Bins
from etude.music.score import Score

_CLASSES = {
    "piano": range(6),
    "keyboard": range(6, 10),
    "percussion": (11, 12, 13, 14, 15, 47, 55, 112, 113, 115, 117, 119),
    "organ": range(16, 24),
    "guitar": range(24, 32),
    "bass": (*range(32, 40), 43),
    "violin": (40,),
    "viola": (41,),
    "cello": (42,),
    "harp": (46,),
    "strings": (44, 45, *range(48, 52)),
    "voice": range(52, 55),
    "trumpet": (56, 59),
    "trombone": (57,),
    "tuba": (58,),
    "horn": (60, 69),
    "brass": range(61, 64),
    "saxophone": range(64, 68),
    "oboe": (68,),
    "bassoon": (70,),
    "clarinet": (71,),
    "piccolo": (72,),
    "flute": (73, 75),
    "pipe": (74, *range(76, 80)),
    "synthesizer": range(80, 96),
    "ethnic": range(104, 112),
    "sound effects": (10, *range(96, 104), *range(120, 128)),
    "drums": (114, 116, 118, 128),
}
_NAMES = tuple(_CLASSES)
_DRUM_KIT = 128
_CLASS_OF = np.zeros(129, np.int64)
for _place, _programs in enumerate(_CLASSES.values()):
    _CLASS_OF[list(_programs)] = _place


def class_of(program: int, *, is_drum: bool = False) -> str:
    """Return the class of an instrument.

    Example:
        >>> class_of(40), class_of(40, is_drum=True)
        ('violin', 'drums')
    """
    return _NAMES[_CLASS_OF[_DRUM_KIT if is_drum else program]]


class Instruments:
    """The classes of instruments that sound."""

    title = "instruments"
    unit = "names"
    meaning = "Which kinds of instruments play at least one note."
    origin = "measured"
    transposed = "same"
    faster = "same"
    bins = Bins.of_sets(_NAMES, aliases={"sax": "saxophone", "synth": "synthesizer", "drum": "drums"})

    @staticmethod
    def measure(score: Score) -> tuple[str, ...] | None:
        """Return the classes in their order, or None without notes."""
        if not len(score.notes):
            return None
        used = np.flatnonzero(np.bincount(score.notes.track))
        tracks = [score.tracks[k] for k in used.tolist()]
        held = {class_of(track.program, is_drum=track.is_drum) for track in tracks}
        return tuple(name for name in _NAMES if name in held)

    @staticmethod
    def evidence(score: Score) -> str:
        """Say which programs play, and how many notes each."""
        counts: dict[str, int] = {}
        for track, notes in zip(score.tracks, np.bincount(score.notes.track, minlength=len(score.tracks)), strict=True):
            name = "drum kit" if track.is_drum else f"program {track.program}"
            counts[name] = counts.get(name, 0) + int(notes)
        played = sorted((item for item in counts.items() if item[1]), key=lambda item: -item[1])
        shown = [f"{name}: {notes:,} notes" for name, notes in played[:6]]
        more = f", and {len(played) - 6} more" if len(played) > 6 else ""
        return ", ".join(shown) + more or "no notes"
