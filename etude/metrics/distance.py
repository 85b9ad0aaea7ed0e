"""How far takes are from real music: one attribute at a time, takes against held-out pieces.

    difference  = mean of the takes - mean of the held-out pieces, in the attribute's unit
    distance    = |difference| / standard deviation of the held-out pieces: 0 is the same mean, 1 is as
                  far off as one real piece typically is from the mean of all
    overlap     = area under the lower of two Gaussian kernel density estimates (Scott's bandwidth):
                  1 where the distributions are the same, 0 where they do not meet

Intervals are 95 % percentile bootstraps: takes and held-out pieces are drawn anew, each from its own.

Source: overlap is the "overlapped area" of Yang and Lerch, "On the evaluation of generative models in music"
(2018), over values instead of pairwise distances.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from etude.attributes import attribute, measure
from etude.attributes import numbers as attributes_with_numbers
from etude.music.score import Score
from etude.randomness import generator

_GRID_POINTS = 512
_PERCENT = (2.5, 97.5)


def validate(takes: np.ndarray, held_out: np.ndarray) -> None:
    """Refuse what has no mean or no spread to compare with.

    Raises:
        ValueError: no take, fewer than two held-out pieces, or a value that is not finite.
    """
    if len(takes) < 1 or len(held_out) < 2:
        raise ValueError(f"{len(takes)} takes, {len(held_out)} held-out pieces: expected at least 1 and 2")
    if not (np.isfinite(takes).all() and np.isfinite(held_out).all()):
        raise ValueError("values: expected finite numbers only; leave out pieces without a value")


def distance(takes: np.ndarray, held_out: np.ndarray) -> float | None:
    """Return the difference of means in standard deviations of the held-out pieces; None if they have none.

    Example:
        >>> distance(np.array([4.0, 4.0]), np.array([1.0, 3.0]))
        2.0
    """
    spread = held_out.std()
    return None if spread == 0 else float(abs(takes.mean() - held_out.mean()) / spread)


def overlap(takes: np.ndarray, held_out: np.ndarray) -> float:
    """Return the shared area of the two estimated densities, 0 to 1."""
    # one value, or all the same, have no spread: give the narrow peak the bandwidth of the other sample
    widths = [_bandwidth(takes), _bandwidth(held_out)]
    widest = max(widths)
    if widest == 0:
        return float(takes[0] == held_out[0])
    widths = [width or widest for width in widths]
    both = np.concatenate([takes, held_out])
    grid, step = np.linspace(both.min() - 4 * widest, both.max() + 4 * widest, _GRID_POINTS, retstep=True)
    shared = np.minimum(_density(takes, widths[0], grid), _density(held_out, widths[1], grid))
    return float(min(1.0, shared.sum() * step))


def evaluate(
    takes: np.ndarray, held_out: np.ndarray, *, num_resamples: int = 1000, seed: int = 0
) -> dict[str, float | int | None]:
    """Compare the values of one attribute.

    Args:
        takes: (N,) a value for each take.
        held_out: (M,) a value for each held-out piece, M at least 2.
        num_resamples: bootstrap samples.
        seed: of the bootstrap; the same seed gives the same interval.

    Returns:
        ``takes, takes_mean, takes_std, held_out, held_out_mean, held_out_std, difference, difference_low,
        difference_high, distance, overlap``; ``distance`` is None where all held-out values are equal.

    Raises:
        ValueError: see ``validate``.
    """
    takes, held_out = np.asarray(takes, np.float64), np.asarray(held_out, np.float64)
    validate(takes, held_out)
    rng = generator(seed, "bootstrap")
    resampled = _resampled_means(takes, num_resamples, rng) - _resampled_means(held_out, num_resamples, rng)
    low, high = np.percentile(resampled, _PERCENT)
    return {
        "takes": len(takes),
        "takes_mean": float(takes.mean()),
        "takes_std": float(takes.std()),
        "held_out": len(held_out),
        "held_out_mean": float(held_out.mean()),
        "held_out_std": float(held_out.std()),
        "difference": float(takes.mean() - held_out.mean()),
        "difference_low": float(low),
        "difference_high": float(high),
        "distance": distance(takes, held_out),
        "overlap": overlap(takes, held_out),
    }


def compare(
    takes: Iterable[Score],
    held_out: Iterable[Score],
    *,
    attributes: Iterable[str] | None = None,
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict]:
    """Compare takes with held-out pieces in every attribute.

    Pieces without a value of an attribute are left out of it; an attribute for which too few pieces are left
    is left out whole. Give both sides the same length of music: some attributes change as a piece goes on.

    Args:
        takes: generated Scores.
        held_out: real Scores that the model has not seen.
        attributes: names, by default of all whose values are numbers.
        num_resamples: bootstrap samples.
        seed: of the bootstrap.

    Returns:
        What ``evaluate`` says, by attribute; beside it ``takes_values`` and ``held_out_values``, and the
        attribute's ``title``, ``unit`` and ``meaning``.
    """
    names = list(attributes_with_numbers() if attributes is None else attributes)
    measured = [_columns([measure(score, names) for score in scores], names) for scores in (takes, held_out)]
    compared = {}
    for name in names:
        ours, theirs = measured[0][name], measured[1][name]
        if len(ours) >= 1 and len(theirs) >= 2:
            numbers = evaluate(ours, theirs, num_resamples=num_resamples, seed=seed)
            values = {"takes_values": ours.tolist(), "held_out_values": theirs.tolist()}
            about = {key: getattr(attribute(name), key) for key in ("title", "unit", "meaning")}
            compared[name] = numbers | values | about
    return compared


def _columns(rows: list[Mapping[str, float | None]], names: list[str]) -> dict[str, np.ndarray]:
    return {name: np.array([row[name] for row in rows if row[name] is not None]) for name in names}


def _resampled_means(values: np.ndarray, num_resamples: int, rng: np.random.Generator) -> np.ndarray:
    means = np.empty(num_resamples)
    for i in range(num_resamples):  # one row at a time: a corpus has too many pieces for one table
        means[i] = values[rng.integers(0, len(values), len(values))].mean()
    return means


def _bandwidth(values: np.ndarray) -> float:
    return 0.0 if len(values) < 2 else float(values.std(ddof=1)) * len(values) ** -0.2


def _density(values: np.ndarray, width: float, grid: np.ndarray) -> np.ndarray:
    density = np.zeros_like(grid)
    for part in np.array_split(values, max(1, len(values) // 1024)):
        density += np.exp(-0.5 * ((grid[:, None] - part[None, :]) / width) ** 2).sum(axis=1)
    return density / (len(values) * width * math.sqrt(2 * math.pi))
