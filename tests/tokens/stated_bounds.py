"""What the pages of the base tokenizers state of what comes back, as numbers, for tests.

Nothing of the tokenizers is used here.
"""

import numpy as np
from came_back import DRUMS, EPS, Bounds, Statement

from etude.music.score import Score

# families of programs that `absolute` has ids for, by their first program
FAMILIES = (0, 16, 24, 32, 40, 48, 56, 64, 72, 80)


def _pitch(kind: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Pitched notes by pitch alone; no drums."""
    return np.where(kind == DRUMS, -1, pitch)


def _program_and_pitch(kind: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    return kind << 7 | pitch


def _family_and_pitch(kind: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    family = kind // 8 * 8
    has_ids = np.isin(family, FAMILIES) & (kind != DRUMS)
    is_drum = (kind == DRUMS) & (pitch >= 35) & (pitch <= 81)
    return np.where(is_drum, DRUMS << 7 | pitch, np.where(has_ids, family << 7 | pitch, -1))


def _piano_and_drums(kind: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    is_drum = kind == DRUMS
    inside = np.where(is_drum, (pitch >= 27) & (pitch <= 87), (pitch >= 21) & (pitch <= 108))
    return np.where(inside, np.where(is_drum, DRUMS << 7, 0) | pitch, -1)


def _near(bound: float) -> Statement:
    return lambda before, after, key: np.abs(before - after) <= bound


def _length(
    bound: float,
    *,
    least: float,
    most: float = np.inf,
    cut_bound: float | None = None,
    share: float = 0.0,
    coarse: tuple[float, float] = (np.inf, 0.0),
) -> Statement:
    """Return a statement about durations.

    Args:
        bound: how far they may be off.
        least, most: durations that come back are between.
        cut_bound: how far where the key was struck again, which is a time of its own; None for the same.
        share: what they may be shortened by besides, as a share of them.
        coarse: from this duration on another bound holds.
    """

    def ends(before: np.ndarray, after: np.ndarray, cut: np.ndarray) -> np.ndarray:
        may = np.where(cut, bound if cut_bound is None else cut_bound, bound)
        may = np.where(before > coarse[0] - bound - EPS, np.maximum(may, coarse[1]), may) + EPS
        wanted = np.clip(before, least, most)
        inside = (after >= least - EPS) & (after <= most + EPS)
        return inside & (after <= wanted + may) & (after >= wanted - share * (before + bound) - may)

    return ends


def _between(length: Statement, beats: list[float]) -> Statement:
    """Return a statement about durations that are a step, an eighth of a beat, at least and twelve beats at most."""
    beat = np.array(beats)

    def ends(before: np.ndarray, after: np.ndarray, cut: np.ndarray) -> np.ndarray:
        is_step = np.isclose(after[:, None], beat / 8) & (before[:, None] <= beat / 8)
        is_most = np.isclose(after[:, None], 12 * beat) & (before[:, None] >= 12 * beat)
        return length(before, after, cut) | (is_step | is_most).any(1)

    return ends


def _absolute_velocity(before: np.ndarray, after: np.ndarray, key: np.ndarray) -> np.ndarray:
    pitched = np.abs(np.clip(before, 5, 125) - after) <= 5
    return np.where(key >> 7 == DRUMS, after == 60, pitched)


def _absolute_ends(before: np.ndarray, after: np.ndarray, cut: np.ndarray) -> np.ndarray:
    stated = _length(0.005, least=0.01, most=5.0, cut_bound=0.01)(before, after, cut)
    # drums last for one step; whose key it is has been found out before
    return stated | np.isclose(after, 0.01)


_ABSOLUTE = Bounds(
    "sec", 0.005, _absolute_ends, _absolute_velocity, _family_and_pitch, pedal="after it went down", from_first=True
)


def bounds_of(kind: str, score: Score) -> Bounds:
    """Return what is stated of a kind of tokenizer with its default settings."""
    if kind in ("tsd", "midilike"):
        return _of_beats(kind, score)
    return {
        "performance": Bounds(
            "sec", 0.005, _length(0.01, least=0.01), _near(3), _pitch, pedal="while down", end=(0.005, 0.01, np.inf)
        ),
        "absolute": _ABSOLUTE,
        "relative": _ABSOLUTE,
        "anticipation": Bounds(
            "sec",
            0.005,
            _length(0.015, least=0.002, most=9.99),
            lambda before, after, key: after == 72,
            _program_and_pitch,
            end=(0.01, 0.002, 9.99),
        ),
        "remi": Bounds(
            "quarter",
            1 / 24,
            _length(1 / 12, least=1 / 12, most=2932 / 12, share=1 / 13),
            _near(2),
            _program_and_pitch,
            strikes=False,
        ),
        "octuple": Bounds(
            "quarter",
            1 / 32,
            _length(1 / 16, least=1 / 48, most=247, share=1 / 17),
            _near(2),
            _program_and_pitch,
        ),
    }[kind]


def _of_beats(kind: str, score: Score) -> Bounds:
    """Return what is stated of schemes whose steps are eighths of the beat of the time signature in force."""
    beats = sorted({4 / value for value in score.time_signatures.denominator.tolist()} | {1.0})
    even, step = len(beats) == 1, beats[-1] / 8
    onset = (0.5 if even else 0.75) * step
    if kind == "midilike":
        length = _length((1.0 if even else 1.5) * step, least=beats[0] / 8)
    else:
        # lengths are rounded twice as onsets are
        coarse = (4 * beats[0], step + onset)
        length = _between(_length(onset, least=beats[0] / 8, most=12 * beats[-1], coarse=coarse), beats)
    exchanges = kind == "midilike"
    return Bounds("quarter", onset, length, _near(2), _piano_and_drums, strikes=False, exchanges=exchanges)
