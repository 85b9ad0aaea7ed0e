"""The vocabulary of ``tsd`` and ``midilike``: which id stands where, and the values of the ids.

Times are steps: a beat of the time signature has ``finest`` of them. A *ladder* is a row of lengths that ids
have; a longer time is a run of its ids, each the longest that still fits.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from etude.tokens.id_facts import DRUMS
from etude.tokens.tsd_settings import ShiftSettings
from etude.tokens.vocab import Vocab

NONE = -1
"""Stands for no id."""

_RENAMED = {"PAD_None": "PAD", "EOS_None": "END"}


class Ladder:
    """Lengths in steps that ids have, and how any time is split into them.

    Args:
        rows: (from_beat, to_beat, steps a beat).
        finest: steps to a beat.
        first_id: the id of the shortest length.
    """

    def __init__(self, rows: tuple[tuple[int, int, int], ...], finest: int, first_id: int) -> None:
        """List the lengths, and split every time up to the longest."""
        self.words = [
            (beat, place, steps)
            for low, high, steps in rows
            for beat in range(low, high)
            for place in range(steps)
            if beat or place
        ]
        self.words.append((rows[-1][1], 0, rows[-1][2]))
        self.steps = np.array([(beat * res + place) * finest // res for beat, place, res in self.words], np.int32)
        self.first_id = first_id
        self.longest = int(self.steps[-1])

        table = _nearest(self.steps, np.arange(self.longest + 1)).astype(np.int64)
        self._nearest_of_step = np.append(table, table[-1])

    @property
    def names(self) -> list[str]:
        """Return the values as ids name them, such as 1.4.8: a beat and four eighths of one."""
        return [".".join(map(str, word)) for word in self.words]

    def nearest(self, length: np.ndarray, step: np.ndarray | int = 1) -> np.ndarray:
        """Return which of the lengths is nearest to each, the longer of two, int64.

        Args:
            length: in ticks.
            step: ticks to a step.
        """
        if isinstance(step, int):
            return self._nearest_of_step.take(length, mode="clip")
        return _nearest(self.steps, length / step).astype(np.int64)

    def split(self, time: int) -> list[int]:
        """Return the ids of a time, longest first; what is left is shorter than the shortest."""
        ids = []
        while time >= self.steps[0]:
            place = int(np.searchsorted(self.steps, time, side="right")) - 1
            ids.append(self.first_id + place)
            time -= int(self.steps[place])
        return ids

    def left_after(self, time: int) -> int:
        """Return what ``split`` leaves of a time."""
        return time - sum(int(self.steps[token_id - self.first_id]) for token_id in self.split(time))

    def followers(self) -> np.ndarray:
        """Return for each length how many of the ladder's shortest may follow it in one split, int32."""
        room = np.append(np.diff(self.steps), self.longest + 1)
        return np.searchsorted(self.steps, room, side="left").astype(np.int32)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the ids of each kind begin, for one choice of settings.

    Args:
        settings: the choice.
        has_offs: notes end with an id of their own.
    """

    settings: ShiftSettings
    has_offs: bool

    @cached_property
    def _kinds(self) -> list[tuple[str, list[str]]]:
        told = self.settings
        low, high = told.pitch_range
        drum_low, drum_high = told.drums_pitch_range
        pitches, drums = ([str(p) for p in range(a, b + 1)] for a, b in ((low, high), (drum_low, drum_high)))
        programs = [str(program) for program in told.programs] if told.use_programs else ["0"]
        ladder = Ladder(told.beat_res, told.finest, 0).names
        on, drum = ("NoteOn", "DrumOn") if self.has_offs else ("Pitch", "PitchDrum")
        kinds = [
            (on, pitches),
            ("NoteOff", pitches if self.has_offs else []),
            ("Velocity", [str(v) for v in self.velocities] if told.use_velocities else []),
            ("Duration", [] if self.has_offs else ladder),
            ("TimeShift", ladder),
            (drum, drums if told.use_pitchdrum_tokens else []),
            ("DrumOff", drums if told.use_pitchdrum_tokens and self.has_offs else []),
            ("Rest", Ladder(told.beat_res_rest, told.finest, 0).names if told.use_rests else []),
            ("Tempo", [str(qpm) for qpm in self.tempos] if told.use_tempos else []),
            ("Program", programs if told.use_programs else []),
            ("TimeSig", [f"{a}/{b}" for a, b in told.time_signature_range] if told.use_time_signatures else []),
            ("KeySig", [f"{s}:{m}" for s in range(-7, 8) for m in (0, 1)] if told.use_key_signatures else []),
            ("Pedal", programs if told.use_sustain_pedals else []),
            ("PedalOff", programs if told.use_sustain_pedals else []),
        ]
        return [(kind, values) for kind, values in kinds if values]

    @cached_property
    def special(self) -> list[str]:
        """The names of the first ids."""
        names = [special_name(word) for word in self.settings.special_tokens]
        return [_RENAMED.get(name, name) for name in (names if "PAD_None" in names else [*names, "PAD_None"])]

    @cached_property
    def vocab(self) -> Vocab:
        """All names; END is the last id where the special tokens have no EOS."""
        names = [f"{kind}_{value}" for kind, values in self._kinds for value in values]
        return Vocab([*self.special, *names, *([] if "END" in self.special else ["END"])])

    @cached_property
    def _first(self) -> dict[str, tuple[int, int]]:
        first, at = {}, len(self.special)
        for kind, values in self._kinds:
            first[kind] = (at, len(values))
            at += len(values)
        return first

    def ids(self, *kinds: str) -> np.ndarray:
        """Return the ids of some kinds, int64; none of a kind that these settings leave out."""
        spans = (self._first.get(kind, (0, 0)) for kind in kinds)
        return np.concatenate([np.arange(at, at + count) for at, count in spans])

    def on_and_off(self, is_drum: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids by which notes of drums, or all others, begin and end; their lengths may end them."""
        on, off = ("DrumOn", "DrumOff") if is_drum else ("NoteOn", "NoteOff")
        return (self.ids(on), self.ids(off)) if self.has_offs else (self.ids("PitchDrum" if is_drum else "Pitch"),) * 2

    def first(self, kind: str) -> int:
        """Return the first id of a kind, or ``NONE``."""
        return self._first.get(kind, (NONE, 0))[0]

    @cached_property
    def velocities(self) -> np.ndarray:
        """The velocity of each level, int32."""
        return np.linspace(0, 127, self.settings.num_velocities + 1)[1:].astype(np.int32)

    @cached_property
    def level_of_velocity(self) -> np.ndarray:
        """The nearest level of each velocity 0..127, the louder of two, int32."""
        return _nearest(self.velocities, np.arange(128))

    @cached_property
    def tempos(self) -> np.ndarray:
        """The tempo of each level, float64, to hundredths of quarters a minute."""
        told = self.settings
        spaced = np.geomspace if told.log_tempos else np.linspace
        return spaced(*told.tempo_range, told.num_tempos).round(2)

    @cached_property
    def us_per_quarter(self) -> np.ndarray:
        """The tempo of each level in microseconds a quarter, falling, int64."""
        return (6e7 / self.tempos).astype(np.int64)

    def tempo_level(self, us_per_quarter: np.ndarray) -> np.ndarray:
        """Return the levels whose quarters are nearest in length, the slower of two."""
        return self.settings.num_tempos - 1 - _nearest(self.us_per_quarter[::-1], us_per_quarter)

    @cached_property
    def shifts(self) -> Ladder:
        """The lengths of TimeShift."""
        return Ladder(self.settings.beat_res, self.settings.finest, self.first("TimeShift"))

    @cached_property
    def rests(self) -> Ladder | None:
        """The lengths of Rest, if there are any."""
        told = self.settings
        return Ladder(told.beat_res_rest, told.finest, self.first("Rest")) if told.use_rests else None

    @cached_property
    def durations(self) -> Ladder:
        """The lengths of Duration."""
        return Ladder(self.settings.beat_res, self.settings.finest, self.first("Duration"))

    @cached_property
    def pitches(self) -> np.ndarray:
        """Lowest and highest pitch of each instrument 0..128, and none for ``NONE``, the last; int32 (2, 130)."""
        told = self.settings
        table = np.full((DRUMS + 2, 2), told.pitch_range, np.int32)
        if told.use_pitchdrum_tokens:
            table[DRUMS] = told.drums_pitch_range
        table[NONE] = (128, -1)
        return np.ascontiguousarray(table.T)

    @property
    def ids_of_a_note(self) -> int:
        """Return how many ids a note has, its instrument not counted."""
        return 1 + self.settings.use_velocities + (not self.has_offs)

    @cached_property
    def pitch_ids(self) -> np.ndarray:
        """The ids of a note's pitch, and of its end, for pitched instruments and drums; int32 (2, 2, 128)."""
        told, table = self.settings, np.full((2, 2, 128), NONE, np.int32)
        low, high = told.pitch_range
        for end, ids in enumerate(self.on_and_off(is_drum=False)):
            table[end, :, low : high + 1] = ids
        if told.use_pitchdrum_tokens:
            low, high = told.drums_pitch_range
            table[:, 1] = NONE
            for end, ids in enumerate(self.on_and_off(is_drum=True)):
                table[end, 1, low : high + 1] = ids
        return table

    @cached_property
    def instrument_of_row(self) -> np.ndarray:
        """The instrument of each Program or Pedal id, int64."""
        programs = np.array(self.settings.programs if self.settings.use_programs else [0])
        return np.where(programs < 0, DRUMS, programs)

    @cached_property
    def row_of_instrument(self) -> np.ndarray:
        """Which Program or Pedal id an instrument 0..128 has, ``NONE`` for one left out, int64 (129,)."""
        rows = np.full(DRUMS + 1, NONE)
        rows[self.instrument_of_row] = np.arange(len(self.instrument_of_row))
        return rows


def special_name(word: str) -> str:
    """Return the name of a special token: one underscore, before the value or None.

    Example:
        >>> special_name("MASK"), special_name("Genre_hard_rock")
        ('MASK_None', 'Genre-hard_rock')
    """
    kind, _, value = word.rpartition("_")
    return f"{kind.replace('_', '-')}_{value}" if kind else f"{word}_None"


def _nearest(levels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the nearest of rising levels, the higher of two that are equally near, int32."""
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values, side="right").astype(np.int32)
