"""Compute confidence intervals by bootstrap, clustered over images: whole images are drawn, with all their seeds.

The seeds of one image are not independent: a hard image is hard under every realisation of the noise. So images are
drawn with replacement, and the interval shows which means another choice of similar images might have given. The
intervals are bias-corrected and accelerated (Efron 1987), as `scipy.stats.bootstrap` computes them. Here all methods
share the same draws, which reduces the time for a million scores to seconds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

LEVEL = 0.95
SEED = 0
MOST, LEAST = 9999, 999  # draws: many for few images, fewer for thousands of them
WORK = 20_000_000  # images drawn in all
CHUNK = 2_000_000  # images drawn at once: 16 MB of numbers

# By number of images: how many in a hundred intervals contain the true mean. Measured on 3,000 sets of normal values.
COVERAGE = {2: 51, 3: 73, 6: 86, 8: 89, 12: 91, 24: 93}


def intervals(sums: Array, counts: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Return the confidence interval of the mean of each row.

    The mean of a row is the total of its sums divided by the total of its counts, because images may lack some of their
    seeds.

    Args:
        sums: The sum of the scores of each image, float64 (rows, images).
        counts: The number of scores of each image, float64 (rows, images).
        level: The confidence level, from 0 to 1.

    Returns:
        The lower and the upper ends, each (rows,). They are NaN if fewer than two images have a score.
    """
    few = (counts > 0).sum(axis=1) < 2
    means = _draws(sums, counts)  # (draws, rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = _ends(sums, counts, means, level)
    ends = np.array([_quantiles(means[:, row], low[row], high[row]) for row in range(len(sums))]).reshape(-1, 2)
    ends[few] = np.nan
    return ends[:, 0], ends[:, 1]


def _draws(sums: Array, counts: Array) -> Array:
    """Return the means over images drawn with replacement, float64 (draws, rows)."""
    times = _times(sums.shape[1])
    step = max(1, CHUNK // sums.shape[1])
    chunks = []
    for start in range(0, len(times), step):
        weights = times[start : start + step].astype(np.float64)
        with np.errstate(invalid="ignore"):
            chunks.append(weights @ sums.T / (weights @ counts.T))
    return np.concatenate(chunks)


@lru_cache(maxsize=1)
def _times(images: int) -> Array:
    """Return how often each draw takes each image, uint8 (draws, images).

    The result is the same for every table with so many images.
    """
    draws = max(LEAST, min(MOST, WORK // images))
    random, step = np.random.default_rng(SEED), max(1, CHUNK // images)
    times = np.empty((draws, images), np.uint8)
    for start in range(0, draws, step):
        many = min(step, draws - start)
        drawn = random.integers(0, images, (many, images)) + np.arange(many)[:, None] * images
        times[start : start + many] = np.bincount(drawn.ravel(), minlength=many * images).reshape(many, images)
    return times


def _ends(sums: Array, counts: Array, means: Array, level: float) -> tuple[Array, Array]:
    """Return the quantiles of the draws at the ends of the interval, corrected for bias and skew, each (rows,)."""
    total, many = sums.sum(axis=1), counts.sum(axis=1)
    below = ((means < total / many).mean(axis=0) + (means <= total / many).mean(axis=0)) / 2
    bias = ndtri(below)
    without = (total[:, None] - sums) / (many[:, None] - counts)  # (rows, images): the mean without this image
    here = counts > 0
    pull = np.where(here, (np.where(here, without, 0).sum(axis=1) / here.sum(axis=1))[:, None] - without, 0)
    skew = (pull**3).sum(axis=1) / (6 * (pull**2).sum(axis=1) ** 1.5)
    z = ndtri((1 - level) / 2)
    ends = [ndtr(bias + (bias + side) / (1 - skew * (bias + side))) for side in (z, -z)]
    plain = np.isnan(ends[0]) | np.isnan(ends[1])  # all draws are equal, so there is nothing to correct
    return np.where(plain, (1 - level) / 2, ends[0]), np.where(plain, (1 + level) / 2, ends[1])


def _quantiles(draws: Array, low: float, high: float) -> tuple[float, float]:
    finite = draws[np.isfinite(draws)]
    if not finite.size:
        return np.nan, np.nan
    ends = np.quantile(finite, (low, high))
    return float(ends[0]), float(ends[1])
