"""Change the sample rate of sound."""

from math import gcd

import numpy as np

from etude.errors import EtudeError

_ZERO_CROSSINGS = 24
_BLOCKS_AT_ONCE = 4096
# one block takes a matrix of this many numbers at most
_MAX_MATRIX = 1 << 23


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Change the sample rate by a windowed sinc filter.

    Frequencies above half the lower rate are taken out. The ratio of the rates is a fraction up / down: each
    block of ``down`` samples gives ``up`` samples by one matrix, so long sound takes little memory.

    Args:
        samples: float, (..., samples).
        from_hz: samples a second now, > 0.
        to_hz: samples a second wanted, > 0.

    Returns:
        float32, (..., round(samples * to_hz / from_hz)).

    Raises:
        EtudeError: the rates are not positive, or have no simple ratio.

    Example:
        >>> resample(np.ones((2, 480)), 48000, 44100).shape
        (2, 441)

    Source:
        J. O. Smith, "Digital Audio Resampling"; Kaiser window, beta 9.
    """
    if from_hz <= 0 or to_hz <= 0:
        raise EtudeError(f"cannot resample from {from_hz} to {to_hz} samples a second; both must be positive")
    samples = np.asarray(samples, np.float32)
    up, down = to_hz // gcd(from_hz, to_hz), from_hz // gcd(from_hz, to_hz)
    if up == down:
        return samples
    half = int(np.ceil(_ZERO_CROSSINGS * max(1.0, down / up)))
    if up * (down + 2 * half) > _MAX_MATRIX:
        raise EtudeError(f"sample rate {to_hz} has no simple ratio to {from_hz}; take 22050, 44100 or 48000")
    kernel = _kernel(up, down, half)
    length = samples.shape[-1]
    num_blocks = max(-(-length // down), 1)
    padding = [(0, 0)] * (samples.ndim - 1) + [(half, num_blocks * down - length + half)]
    padded = np.pad(samples, padding)
    windows = np.lib.stride_tricks.sliding_window_view(padded, down + 2 * half, axis=-1)[..., ::down, :]
    out = np.empty((*samples.shape[:-1], num_blocks, up), np.float32)
    for start in range(0, num_blocks, _BLOCKS_AT_ONCE):
        part = slice(start, start + _BLOCKS_AT_ONCE)
        out[..., part, :] = windows[..., part, :] @ kernel
    return out.reshape(*samples.shape[:-1], -1)[..., : round(length * to_hz / from_hz)]


def _kernel(up: int, down: int, half: int) -> np.ndarray:
    """Return the matrix (down + 2 * half, up) from a block, with ``half`` samples on both sides, to ``up`` samples."""
    at = np.arange(up) * down / up
    distance = np.arange(-half, down + half)[:, None] - at[None, :]
    cutoff = min(1.0, up / down)
    window = np.i0(9.0 * np.sqrt(np.clip(1 - (distance / half) ** 2, 0, 1))) / np.i0(9.0)
    kernel = cutoff * np.sinc(cutoff * distance) * window * (np.abs(distance) <= half)
    # every output sample gives a constant its own value back
    return (kernel / kernel.sum(axis=0)).astype(np.float32)
