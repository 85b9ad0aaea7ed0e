"""What ``tsd`` and ``midilike`` are told: MidiTok's own settings under its own names.

Lists stand in the order of the ids that they give, because two vocabularies that differ in order alone differ
in every id. Resolutions are rows ``(from_beat, to_beat, steps)``, a beat being the note value of the time
signature's lower number; all of them divide the finest.
"""

from typing import Literal, Self

from pydantic import model_validator

from etude.settings import Settings, setting

_PROGRAMS = (*range(128), -1)
_METRES = ((3, 8), (12, 8), (6, 8), (5, 4), (6, 4), (3, 4), (2, 4), (1, 4), (4, 4))
_MAX_BEATS = 64
_MAX_STEPS = 96


class ShiftSettings(Settings):
    """The settings that both tokenizers share; the defaults are MidiTok's, ``note_order`` is ours."""

    pitch_range: tuple[int, int] = setting((21, 109), text="lowest and highest pitch; other notes are left out")
    beat_res: tuple[tuple[int, int, int], ...] = setting(
        ((0, 4, 8), (4, 12, 4)), text="rows (from_beat, to_beat, steps a beat) of lengths and shifts"
    )
    num_velocities: int = setting(32, text="levels that velocities are rounded to", ge=1, le=127)
    use_velocities: bool = setting(True, text="write velocities")
    special_tokens: tuple[str, ...] = setting(
        ("PAD", "BOS", "EOS", "MASK"), text="first ids; PAD and EOS are named PAD and END here"
    )
    use_pitchdrum_tokens: bool = setting(True, text="give drum notes ids of their own")
    drums_pitch_range: tuple[int, int] = setting((27, 88), text="lowest and highest key of drums with such ids")
    use_programs: bool = setting(False, text="write the instrument before each note; without, tracks are pooled")
    programs: tuple[int, ...] = setting(
        _PROGRAMS, text="instruments, -1 for drums; with use_programs notes of others are left out"
    )
    program_changes: bool = setting(False, text="write the instrument only where it changes")
    use_rests: bool = setting(False, text="write silences as rests")
    beat_res_rest: tuple[tuple[int, int, int], ...] = setting(
        ((0, 1, 8), (1, 2, 4), (2, 12, 2)), text="rows (from_beat, to_beat, steps a beat) of rests"
    )
    use_tempos: bool = setting(False, text="write tempos")
    num_tempos: int = setting(32, text="levels that tempos are rounded to", ge=1, le=1000)
    tempo_range: tuple[float, float] = setting((40, 250), text="slowest and fastest tempo", unit="quarters a minute")
    log_tempos: bool = setting(False, text="space the levels of tempo by ratio and not by difference")
    delete_equal_successive_tempo_changes: bool = setting(False, text="leave out a tempo that changes nothing")
    use_time_signatures: bool = setting(True, text="write time signatures, each at the next bar line")
    time_signature_range: tuple[tuple[int, int], ...] = setting(
        _METRES, text="pairs (numerator, denominator); other signatures are passed over"
    )
    delete_equal_successive_time_sig_changes: bool = setting(False, text="leave out a signature that changes nothing")
    use_key_signatures: bool = setting(False, text="write key signatures")
    use_sustain_pedals: bool = setting(False, text="write the sustain pedal, down and up")
    remove_duplicated_notes: bool = setting(False, text="of equal pitches at one step keep the shortest")
    note_order: Literal["pitch", "played"] = setting(
        "pitch",
        text="order at one step. pitch: by program, then pitch; played: as before rounding, which is MidiTok's",
    )

    @model_validator(mode="after")
    def _are_possible(self) -> Self:
        for name in ("pitch_range", "drums_pitch_range"):
            low, high = getattr(self, name)
            _require(0 <= low <= high <= 127, name, (low, high), "lowest and highest of 0..127")
        self._check_resolution("beat_res", self.beat_res)
        if self.use_rests:
            self._check_resolution("beat_res_rest", self.beat_res_rest)
        low, high = self.tempo_range
        _require(4 <= low < high <= 10_000, "tempo_range", (low, high), "two rising tempos of 4..10000")
        _require(
            all(1 <= top <= 255 and lower in (1, 2, 4, 8, 16, 32, 64) for top, lower in self.time_signature_range),
            "time_signature_range",
            self.time_signature_range,
            "pairs such as (3, 4), the lower number a power of two up to 64",
        )
        _require(
            all(self.finest * lower % 4 == 0 for lower in self.denominators),
            "time_signature_range",
            self.time_signature_range,
            f"no beat so long that {self.finest} steps of it are not whole parts of a quarter",
        )
        _require(all(-1 <= one < 128 for one in self.programs), "programs", self.programs, "numbers of -1..127")
        for name in ("programs", "time_signature_range", "special_tokens"):
            values = getattr(self, name)
            _require(len(set(values)) == len(values), name, values, "each once")
        _require(
            all(token and not token.isspace() for token in self.special_tokens),
            "special_tokens",
            self.special_tokens,
            "words",
        )
        return self

    def _check_resolution(self, name: str, rows: tuple[tuple[int, int, int], ...]) -> None:
        joined = (
            rows and all(0 <= low < high for low, high, _ in rows) and rows[0][0] == 0 and rows[-1][1] <= _MAX_BEATS
        )
        joined = joined and all(before[1] == after[0] for before, after in zip(rows, rows[1:], strict=False))
        _require(joined, name, rows, f"rows that go on where the one before ends, from 0 to at most {_MAX_BEATS}")
        divides = all(1 <= steps <= _MAX_STEPS and self.finest % steps == 0 for *_, steps in rows)
        _require(divides, name, rows, f"steps of 1..{_MAX_STEPS} that divide the most of them, {self.finest}")

    @property
    def finest(self) -> int:
        """Return the most steps to a beat."""
        return max(max(steps for *_, steps in self.beat_res), 1)

    @property
    def denominators(self) -> tuple[int, ...]:
        """Return the lower numbers of time signatures that can occur; pieces without one are in 4/4."""
        used = {lower for _, lower in self.time_signature_range} if self.use_time_signatures else set()
        return tuple(sorted(used | {4}))


def _require(is_so: object, name: str, value: object, expected: str) -> None:
    if not is_so:
        raise ValueError(f"{name} = {value}: expected {expected}")
