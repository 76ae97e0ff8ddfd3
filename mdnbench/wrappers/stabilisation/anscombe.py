"""The generalised Anscombe transform: it makes Poisson-Gaussian noise Gaussian with standard deviation one.

An observation is y = Poisson(x * peak) / peak + n with n ~ Normal(0, std^2). The forward transform is that of Starck,
Murtagh and Bijaoui. The inverse is the exact unbiased one of Mäkitalo and Foi (IEEE TIP 22(1), 2013). A denoiser
estimates the mean of the transformed observations; the inverse returns the intensity that has this mean. The algebraic
inverse would be too dark, especially if there are few photons.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

# In photons. The inverse is tabulated up to this number; above it, the closed form is exact within 0.01 photons.
TABLE_TOP = 500.0
TABLE_SIZE = 1000  # entries; linear interpolation between them is exact within 0.001 photons
REACH = 8.0  # the Gaussian is integrated over this many standard deviations to each side


@dataclass(frozen=True, slots=True)
class Anscombe:
    """The transform for one noise.

    Attributes:
        peak: The number of photons at intensity 1.
        std: The standard deviation of the Gaussian part on the [0, 1] scale.
        clipped: Whether observations were clipped to [0, 1]. The inverse then returns at most 1.

    """

    peak: float
    std: float = 0.0
    clipped: bool = False

    def forward(self, noisy: Any) -> Any:
        """Convert observations on the [0, 1] scale to values whose noise has standard deviation about one."""
        return _stabilise(noisy * self.peak, self.std * self.peak)

    def inverse(self, denoised: Any) -> Any:
        """Convert denoised transformed values to intensities on the [0, 1] scale, at least 0."""
        std = self.std * self.peak
        if not self.clipped:
            return _photons(denoised, std) / self.peak
        photons, means = _clipped_table(std, self.peak)
        return np.interp(denoised, means, photons) / self.peak


def _stabilise(counts: Any, std: float) -> Any:
    return 2 * np.sqrt(np.maximum(counts + 3 / 8 + std**2, 0))


def _photons(values: Any, std: float) -> Any:
    """Return the expected number of photons for expected transformed values; `std` is in photons."""
    photons, means = _table(std)
    high = np.maximum(values, means[-1])
    return np.where(values > means[-1], _closed_form(high, std), np.interp(values, means, photons))


def _closed_form(values: Any, std: float) -> Any:
    """Return Mäkitalo and Foi's approximation of the exact unbiased inverse, for values well above zero."""
    half = (3 / 2) ** 0.5
    series = 1 / 4 * values**2 + 1 / 4 * half / values - 11 / 8 / values**2 + 5 / 8 * half / values**3
    return series - 1 / 8 - std**2


@functools.lru_cache(maxsize=32)
def _table(std: float) -> tuple[Any, Any]:
    """Return expected photons from 0 to TABLE_TOP, and the mean of the transformed observation for each.

    Both arrays are (TABLE_SIZE,).
    """
    photons = np.linspace(0, TABLE_TOP**0.5, TABLE_SIZE) ** 2
    return _fixed(photons, _means(photons, std, -np.inf, np.inf))


@functools.lru_cache(maxsize=32)
def _clipped_table(std: float, white: float) -> tuple[Any, Any]:
    """Return expected photons from 0 to `white`, and the mean of the clipped and transformed observation for each."""
    photons = np.linspace(0, white**0.5, TABLE_SIZE) ** 2
    few, many = photons[photons <= TABLE_TOP], photons[photons > TABLE_TOP]
    means = _means(few, std, 0, white)
    # so many photons are distributed normally, together with the Gaussian part
    normal, weights = _normal()
    observed = many[:, None] + (many[:, None] + std**2) ** 0.5 * normal
    return _fixed(photons, np.append(means, _stabilise(np.clip(observed, 0, white), std) @ weights))


def _means(photons: Any, std: float, low: float, high: float) -> Any:
    """Return the mean of the transformed observation, clipped to `low` and `high`, for each number of photons."""
    counts = np.arange(int(TABLE_TOP + 10 * TABLE_TOP**0.5))
    normal, weights = _normal()
    observed = np.clip(counts[:, None] + std * normal, low, high)
    return _poisson(counts, photons[:, None]) @ (_stabilise(observed, std) @ weights)


def _normal() -> tuple[Any, Any]:
    """Return values of a normal variable and their probabilities."""
    values = np.linspace(-REACH, REACH, 801)
    weights = np.exp(-(values**2) / 2)
    return values, weights / weights.sum()


def _fixed(photons: Any, means: Any) -> tuple[Any, Any]:
    """Return the arrays write-protected, because a cache returns the same ones to every caller."""
    for array in (photons, means):
        array.flags.writeable = False
    return photons, means


def _poisson(counts: Any, photons: Any) -> Any:
    """Return the probability of each count if this many photons are expected."""
    return np.exp(scipy.special.xlogy(counts, photons) - photons - scipy.special.gammaln(counts + 1))
