"""The transform for speckle: a logarithm, which turns a random factor into a random summand.

An observation is y = x * (1 + n) with n ~ Normal(0, spread^2). The logarithm of |y| is that of x plus a number that
does not depend on x. Near 0 a logarithm would have no limit, and there the rounding of images to 8 bits is larger than
the speckle. The area hyperbolic sine is a logarithm for large values and a straight line near 0; the offset is where
one becomes the other.

The inverse is exact and unbiased, like that of the Anscombe transform: it returns the intensity whose transformed
observations have this mean.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

OFFSET = 0.03  # on the [0, 1] scale; from three times this intensity on, the noise has the same strength within 5 %
ROUNDING = 1 / 255 / 12**0.5  # the standard deviation of the error of rounding to 8 bits
MIDDLE = 0.5  # the intensity at which the standard deviation of the transformed noise is exactly one
TOP = 8.0  # the largest intensity that the inverse returns, far above what unclipped speckle reaches
TABLE_SIZE = 1000  # entries; linear interpolation between them is exact within 1e-5 of the intensity
REACH = 8.0  # the Gaussian is integrated over this many standard deviations to each side


@dataclass(frozen=True, slots=True)
class Logarithm:
    """The transform for one speckle.

    Attributes:
        spread: The standard deviation of the factor, above 0.
        clipped: Whether observations were clipped to [0, 1]. The inverse then returns at most 1.

    """

    spread: float
    clipped: bool = False

    def forward(self, noisy: Any) -> Any:
        """Convert observations on the [0, 1] scale to values whose noise has standard deviation about one."""
        return _curve(noisy, self.spread) / _deviation(self.spread)

    def inverse(self, denoised: Any) -> Any:
        """Convert denoised transformed values to intensities on the [0, 1] scale, at least 0."""
        intensities, means = _table(self.spread, self.clipped)
        return np.interp(denoised, means, intensities)


def _offset(spread: float) -> float:
    """Return the intensity from which on the transform is a logarithm; for weak speckle that is above the rounding."""
    return max(OFFSET, ROUNDING / spread)


def _curve(noisy: Any, spread: float) -> Any:
    # A negative observation comes from a negative factor; its size says as much as that of a positive one.
    return np.arcsinh(np.abs(noisy) / _offset(spread))


@functools.lru_cache(maxsize=32)
def _deviation(spread: float) -> float:
    """Return the standard deviation of the curve of observations of MIDDLE."""
    factors, weights = _factors(spread)
    values = _curve(MIDDLE * factors, spread)
    mean = weights @ values
    return float((weights @ (values - mean) ** 2) ** 0.5)


@functools.lru_cache(maxsize=32)
def _table(spread: float, clipped: bool) -> tuple[Any, Any]:
    """Return intensities from 0 to the largest one, and the mean of the transformed observation for each.

    Both arrays are (TABLE_SIZE,).
    """
    top, offset = 1.0 if clipped else TOP, _offset(spread)
    intensities = offset * np.sinh(np.linspace(0, np.arcsinh(top / offset), TABLE_SIZE))
    factors, weights = _factors(spread)
    observed = intensities[:, None] * factors
    if clipped:
        observed = np.clip(observed, 0, 1)
    means = _curve(observed, spread) @ weights / _deviation(spread)
    for array in (intensities, means):
        array.flags.writeable = False  # the cache returns the same arrays to every caller
    return intensities, means


def _factors(spread: float) -> tuple[Any, Any]:
    """Return values of the factor and their probabilities."""
    normal = np.linspace(-REACH, REACH, 1601)
    weights = np.exp(-(normal**2) / 2)
    return 1 + spread * normal, weights / weights.sum()
