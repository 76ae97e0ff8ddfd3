"""Wrong: it writes into the clean image."""

from __future__ import annotations

from mdnbench import NoiseSpec, Option, hookimpl


def apply(clean, rng, sigma):
    """It writes into the clean image."""
    clean += rng.normal(tuple(clean.shape)) * (sigma / 255)
    return clean


def std(sigma):
    """The standard deviation that it declares."""
    return sigma / 255


@hookimpl
def mdnbench_noises():
    """One noise."""
    sigma = Option("sigma", float, minimum=0, maximum=255)
    return [NoiseSpec("noise-input", "1", "wrong", apply, std, (sigma,), "y = x + n")]
