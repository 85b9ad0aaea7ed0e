"""Scores to draw."""

import numpy as np
import pytest

from etude.music.score import Controls, Score, TimeSignatures, Track


@pytest.fixture
def duet():
    """Two tracks of 40 notes with bars, velocities and a sustain pedal, 20 seconds long."""
    count = 40
    onset = np.repeat(np.arange(count) * 480, 2)
    pitch = np.tile([72, 48], count) + np.repeat(np.arange(count) % 12, 2)
    velocity = np.tile([100, 40], count)
    return Score.of(
        onset,
        np.full(2 * count, 440),
        pitch,
        velocity,
        np.tile([0, 1], count),
        tracks=[Track(40, name="Violin <&>"), Track(0)],
        time_signatures=TimeSignatures.of(tick=[0], numerator=[4], denominator=[4]),
        controls=Controls.of(tick=[0, 960, 1920], track=[1, 1, 1], number=[64, 64, 64], value=[127, 0, 90]),
    )
