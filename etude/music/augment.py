"""Variations of a piece that leave it music: another key, pace, loudness, fewer tracks. A Score in, a new Score out.

What is drawn is a function of (seed, stream, index), so a piece is varied alike wherever and whenever it is read.
The order of notes within a chord is no part of a Score; ``etude.tokens.augment`` mixes it in ids.
"""

from dataclasses import replace
from typing import Literal

import numpy as np

from etude.music.edit import select_tracks, stretch_time, transpose
from etude.music.score import Score
from etude.randomness import Index, below, permutation, seed_of
from etude.settings import Settings, setting

VELOCITY_STEP = 10
"""MIDI velocities in one step of ``velocity_steps``."""

_MAX_US_PER_QUARTER = 0xFFFFFF


class VariationSettings(Settings):
    """How pieces are varied but for their key, each piece anew in each epoch. By default they are not."""

    tempo_percent: float = setting(
        0.0, ge=0, le=50, unit="%", text="pieces last longer or shorter by up to this share of their time"
    )
    velocity_steps: int = setting(
        0, ge=0, le=6, unit="steps of 10", text="all notes get louder or softer by up to this many steps"
    )
    drop_tracks: float = setting(
        0.0, ge=0, le=1, text="probability that a track is left out; one that has notes always stays"
    )
    mix_chords: bool = setting(
        False, text="notes that begin at once come in any order (tokenizers absolute and relative)"
    )
    drop_conditions: float = setting(
        0.0, ge=0, le=1, text="probability that a condition is taken out of a piece's prefix (tokenizer control)"
    )
    vary: Literal["scores", "ids"] = setting(
        "scores",
        text="scores: pieces are varied and encoded anew; ids: ids are varied as published for absolute and relative, "
        "which is faster, and notes that leave 0 to 127 become unknown",
    )


class AugmentSettings(VariationSettings):
    """How pieces are varied, their key included."""

    transpose_semitones: int = setting(
        0, ge=0, le=24, unit="semitones", text="pieces are transposed by up to this, up or down"
    )


def augment(score: Score, settings: AugmentSettings, *, seed: int, index: tuple[Index, ...] = ()) -> Score:
    """Return a piece varied as the settings ask.

    Args:
        score: the piece.
        settings: how far it may go; ``mix_chords`` and ``drop_conditions`` are for ids and mean nothing here.
        seed: of the experiment.
        index: what the variation depends on, such as an epoch and a piece.

    Example:
        >>> score = Score.of([0, 480], [480, 480], [60, 64], [64, 80])
        >>> varied = augment(score, AugmentSettings(transpose_semitones=5, tempo_percent=20.0), seed=1, index=(0, "a"))
        >>> varied.notes.pitch - score.notes.pitch
        array([-3, -3], dtype=int32)
        >>> varied == augment(score, AugmentSettings(transpose_semitones=5, tempo_percent=20.0), seed=1, index=(0, "a"))
        True
    """
    if settings.drop_tracks:
        score = drop_tracks(score, settings.drop_tracks, seed=seed, index=index)
    if settings.transpose_semitones:
        score = transpose(score, drawn_semitones(score, settings.transpose_semitones, seed=seed, index=index))
    if settings.tempo_percent:
        score = stretch_time(score, _possible(score, drawn_factor(settings.tempo_percent, seed=seed, index=index)))
    if settings.velocity_steps:
        step = drawn_velocity_step(settings.velocity_steps, seed=seed, index=index)
        score = shift_velocity(score, VELOCITY_STEP * step)
    return score


def shift_velocity(score: Score, amount: int) -> Score:
    """Add to every velocity, kept within 1 to 127.

    Example:
        >>> shift_velocity(Score.of([0, 1], [1, 1], [60, 62], [5, 120]), 10).notes.velocity
        array([ 15, 127], dtype=int32)
    """
    return replace(score, notes=score.notes.replace(velocity=np.clip(score.notes.velocity + amount, 1, 127)))


def drop_tracks(score: Score, probability: float, *, seed: int, index: tuple[Index, ...] = ()) -> Score:
    """Leave each track out with a probability; of those that have notes one, drawn at random, always stays.

    A piece of a single track stays as it is.

    Args:
        score: the piece.
        probability: of each track, 0 to 1.
        seed: of the experiment.
        index: what the choice depends on.

    Example:
        >>> score = Score.of([0, 0], [480, 480], [60, 40], track=[0, 1])
        >>> len(drop_tracks(score, 1.0, seed=1).tracks)
        1
    """
    count = len(score.tracks)
    sounding = np.flatnonzero(np.bincount(score.notes.track, minlength=count))
    if count < 2 or not len(sounding):
        return score
    # whole numbers of 32 bits, so that no rounding decides
    kept = np.array([below(1 << 32, seed, "drop_tracks", *index, track) for track in range(count)])
    kept = kept >= probability * (1 << 32)
    kept[sounding[below(len(sounding), seed, "keep_track", *index)]] = True
    return score if kept.all() else select_tracks(score, np.flatnonzero(kept).tolist())


def drawn_semitones(score: Score, most: int, *, seed: int, index: tuple[Index, ...] = ()) -> int:
    """Return how far to transpose: even over what keeps all notes within 0 to 127, drums not counted.

    It is what ``TrainBatches`` draws for ids.
    """
    is_drum = np.array([track.is_drum for track in score.tracks] or [False])
    pitch = score.notes.pitch[~is_drum[score.notes.track]]
    low, high = (int(pitch.min()), int(pitch.max())) if len(pitch) else (0, 127)
    draws = permutation(2 * most + 1, seed, "transpose", *index) - most
    return int(draws[(low + draws >= 0) & (high + draws <= 127)][0])


def drawn_factor(percent: float, *, seed: int, index: tuple[Index, ...] = ()) -> float:
    """Return what to multiply time by: even from ``1 - percent / 100`` to ``1 + percent / 100``."""
    return 1 + percent / 100 * (2 * (seed_of(seed, "tempo", *index) / 2**63) - 1)


def drawn_velocity_step(most: int, *, seed: int, index: tuple[Index, ...] = ()) -> int:
    """Return how many steps louder: even over ``-most`` to ``most``."""
    return below(2 * most + 1, seed, "velocity", *index) - most


def _possible(score: Score, factor: float) -> float:
    """Return the factor, or the nearest one whose tempos MIDI can hold."""
    us_per_quarter = score.tempos.us_per_quarter
    if not len(us_per_quarter):
        return factor
    slowest, fastest = max(int(us_per_quarter.max()), 1), max(int(us_per_quarter.min()), 1)
    return max(1 / fastest, min(factor, _MAX_US_PER_QUARTER / slowest))
