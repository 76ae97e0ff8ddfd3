"""Wrong: it draws from NumPy's own random numbers."""

from __future__ import annotations

import numpy as np

from mdnbench import NoiseSpec, Option, hookimpl


def apply(clean, rng, sigma):
    """It draws from NumPy's own random numbers."""
    field = np.random.standard_normal(tuple(clean.shape)).astype("float32")
    return clean + field * (sigma / 255)


def std(sigma):
    """The standard deviation that it declares."""
    return sigma / 255


@hookimpl
def mdnbench_noises():
    """One noise."""
    sigma = Option("sigma", float, minimum=0, maximum=255)
    return [NoiseSpec("noise-draws", "1", "wrong", apply, std, (sigma,), "y = x + n")]
