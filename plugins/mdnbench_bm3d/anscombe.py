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
    """The transform for one noise: `peak` photons at intensity 1, `std` of the Gaussian part on the [0, 1] scale."""

    peak: float
    std: float = 0.0

    def forward(self, noisy: Any) -> Any:
        """Convert unclipped observations on the [0, 1] scale to values whose noise has standard deviation about one."""
        return _stabilise(noisy * self.peak, self.std * self.peak)

    def inverse(self, denoised: Any) -> Any:
        """Convert denoised transformed values to intensities on the [0, 1] scale, at least 0."""
        return _photons(denoised, self.std * self.peak) / self.peak


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
    counts = np.arange(int(TABLE_TOP + 10 * TABLE_TOP**0.5))
    normal = np.linspace(-REACH, REACH, 801)
    weights = np.exp(-(normal**2) / 2)
    given_count = _stabilise(counts[:, None] + std * normal, std) @ (weights / weights.sum())
    means = scipy.stats.poisson.pmf(counts, photons[:, None]) @ given_count
    for array in (photons, means):
        array.flags.writeable = False  # the cache returns the same arrays to every caller
    return photons, means
