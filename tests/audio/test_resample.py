"""Changing the sample rate keeps what both rates can hold, and its length."""

import numpy as np
import pytest

from etude.audio.resample import resample
from etude.errors import EtudeError


def tone(freq_hz, rate_hz, seconds=0.5):
    return np.sin(2 * np.pi * freq_hz * np.arange(round(seconds * rate_hz)) / rate_hz)


@pytest.mark.parametrize("to_hz", [16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("freq_hz", [55, 440, 5000])
def test_a_tone_keeps_its_pitch_and_strength(freq_hz, to_hz):
    there = resample(tone(freq_hz, 48_000), 48_000, to_hz)
    middle = slice(to_hz // 10, -to_hz // 10)
    np.testing.assert_allclose(there[middle], tone(freq_hz, to_hz)[middle], atol=1e-3)


def test_what_the_lower_rate_cannot_hold_is_taken_out():
    there = resample(tone(15_000, 48_000), 48_000, 22_050)
    assert np.abs(there[2000:-2000]).max() < 1e-3


@pytest.mark.parametrize("length", [0, 1, 159, 160, 161, 5000])
def test_the_length_follows_the_rate(length):
    there = resample(np.zeros((2, length)), 48_000, 44_100)
    assert there.shape == (2, round(length * 441 / 480))
    assert there.dtype == np.float32


@pytest.mark.parametrize("to_hz", [0, -1, 44_101])
def test_a_rate_without_a_simple_ratio_is_refused(to_hz):
    with pytest.raises(EtudeError, match=str(to_hz)):
        resample(np.zeros(10), 48_000, to_hz)
