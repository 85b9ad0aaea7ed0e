"""WAV files: what is written comes back to half a step of 16 bits, and what is none is refused."""

import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from etude.audio.wav import read_wav, write_wav
from etude.errors import EtudeError

STEP = 1 / 32767
SAMPLES = arrays.arrays(
    np.float32,
    st.one_of(st.tuples(st.integers(0, 50)), st.tuples(st.just(2), st.integers(0, 50))),
    elements=st.floats(-1, 1, width=32),
)


@given(SAMPLES, st.sampled_from([8000, 22050, 44100, 48000]))
def test_what_is_written_comes_back_in_its_shape(tmp_path_factory, samples, rate_hz):
    path = tmp_path_factory.mktemp("wav") / "sound.wav"
    write_wav(path, samples, rate_hz)
    again, again_hz = read_wav(path)
    assert (again.dtype, again.shape, again_hz) == (np.float32, samples.shape, rate_hz)
    # half a step of rounding, and the one of 32,768 that full scale leaves unused
    assert np.abs(again - samples).max(initial=0) <= 1.6 * STEP


def test_the_file_is_plain_16_bit_sound_that_anything_opens(tmp_path):
    path = tmp_path / "sound.wav"
    write_wav(path, np.array([[0.0, 1.0, -1.0], [0.5, 2.0, -2.0]]), 22_050)
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (2, 2, 22_050, 3)
        values = np.frombuffer(file.readframes(3), "<i2").reshape(-1, 2).T
    assert values.tolist() == [[0, 32767, -32767], [16384, 32767, -32767]]


@pytest.mark.parametrize(("width", "data"), [(1, b"\x80\xc0"), (3, b"\0\0\0\0\0\x40"), (4, b"\0\0\0\0\0\0\0\x40")])
def test_other_widths_are_read_to_the_same_scale(tmp_path, width, data):
    path = tmp_path / "other.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(data)
    samples, rate_hz = read_wav(path)
    assert samples.tolist() == [0.0, 0.5]
    assert rate_hz == 8000


@pytest.mark.parametrize(
    ("samples", "rate_hz", "message"),
    [
        (np.zeros((2, 2, 2)), 8000, "samples of shape"),
        (np.zeros((0, 3)), 8000, "samples of shape"),
        (np.array([0.0, np.nan]), 8000, "not finite"),
        (np.array([np.inf]), 8000, "not finite"),
        (np.zeros(3), 0, "sample_rate_hz = 0"),
    ],
)
def test_what_is_no_sound_is_refused_and_the_old_file_stays(tmp_path, samples, rate_hz, message):
    path = tmp_path / "sound.wav"
    path.write_bytes(b"old")
    with pytest.raises(EtudeError, match=message) as caught:
        write_wav(path, samples, rate_hz)
    assert str(path) in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["sound.wav"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("content", [None, b"", b"RIFF", b"no sound at all, only words", b"RIFF\x24\0\0\0WAVEfmt \x10"])
def test_a_file_that_is_missing_or_no_wav_is_one_line_with_its_path(tmp_path, content):
    path = tmp_path / "broken.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EtudeError) as caught:
        read_wav(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_gives_the_samples_that_are_there(tmp_path):
    path = tmp_path / "sound.wav"
    write_wav(path, np.full((2, 100), 0.5), 8000)
    path.write_bytes(path.read_bytes()[:-41])
    samples, _ = read_wav(path)
    assert samples.shape == (2, 89)
