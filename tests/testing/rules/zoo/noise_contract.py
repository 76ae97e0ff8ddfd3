"""Wrong: NumPy's own number makes everything double."""

from __future__ import annotations

import numpy as np

from mdnbench import NoiseSpec, Option, hookimpl


def apply(clean, rng, sigma):
    """NumPy's own number makes everything double."""
    return clean + rng.normal(tuple(clean.shape)) * np.float64(sigma / 255)


def std(sigma):
    """The standard deviation that it declares."""
    return sigma / 255


@hookimpl
def mdnbench_noises():
    """One noise."""
    sigma = Option("sigma", float, minimum=0, maximum=255)
    return [NoiseSpec("noise-contract", "1", "wrong", apply, std, (sigma,), "y = x + n")]
