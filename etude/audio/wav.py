"""WAV files to arrays and back, with the standard library.

Samples are float32 from -1 to 1, of shape (S,) with one channel and (2, S) with two. Files are written with
16 bits; whole-number samples of 8, 16, 24 and 32 bits are read.
"""

import wave
from pathlib import Path

import numpy as np

from etude import files
from etude.errors import EtudeError

_FULL_SCALE = 32767
_SAMPLES_AT_ONCE = 1 << 20


def read_wav(path: Path | str) -> tuple[np.ndarray, int]:
    """Read a WAV file.

    Returns:
        Samples, float32 (S,), or (channels, S) when there are more than one, and the sample rate in Hz.

    Raises:
        EtudeError: the file cannot be read, is no WAV file, or holds samples that are not whole numbers.
    """
    try:
        with wave.open(str(path), "rb") as file:
            num_channels, width, rate_hz = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        reason = str(error) or "the file ends too early"
        raise EtudeError(f"{path}: not a WAV file of whole-number samples: {reason}") from error
    except OSError as error:
        raise EtudeError(f"{path}: cannot be read: {error.strerror or error}") from error
    samples = _from_bytes(data[: len(data) // (width * num_channels) * width * num_channels], width)
    if num_channels == 1:
        return samples, rate_hz
    return np.ascontiguousarray(samples.reshape(-1, num_channels).T), rate_hz


def _from_bytes(data: bytes, width: int) -> np.ndarray:
    """Return samples of a width in bytes as float32 from -1 to 1."""
    if width == 1:
        # 8 bits are counted from 0, all others from the middle
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    padded = np.zeros((len(data) // width, 4), np.uint8)
    padded[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
    return (padded.view("<i4")[:, 0] / 2.0**31).astype(np.float32)


def write_wav(path: Path | str, samples: np.ndarray, sample_rate_hz: int) -> None:
    """Write a WAV file of 16 bits, whole or not at all.

    Args:
        path: the file.
        samples: (S,) or (channels, S), from -1 to 1; what is louder is cut off.
        sample_rate_hz: samples a second, > 0.

    Raises:
        EtudeError: samples are not finite, have another shape, or the file cannot be written.
    """
    samples = np.atleast_2d(samples)
    if samples.ndim != 2 or not 1 <= len(samples) <= 0xFFFF:
        raise EtudeError(f"{path}: samples of shape {samples.shape}, expected (S,) or (channels, S)")
    if sample_rate_hz < 1:
        raise EtudeError(f"{path}: sample_rate_hz = {sample_rate_hz}, expected 1 or more samples a second")
    if not np.isfinite(samples).all():
        raise EtudeError(f"{path}: some samples are not finite numbers; nothing was written")
    with files.draft(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(int(sample_rate_hz))
        for start in range(0, samples.shape[1], _SAMPLES_AT_ONCE):
            part = np.clip(samples[:, start : start + _SAMPLES_AT_ONCE].T, -1.0, 1.0)
            file.writeframes(np.rint(part * _FULL_SCALE).astype("<i2").tobytes())
