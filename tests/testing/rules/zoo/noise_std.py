"""Wrong: it declares its strength on the 0-255 scale."""

from __future__ import annotations

from mdnbench import NoiseSpec, Option, hookimpl


def apply(clean, rng, sigma):
    """It declares its strength on the 0-255 scale."""
    return clean + rng.normal(tuple(clean.shape)) * (sigma / 255)


def std(sigma):
    """The standard deviation that it declares."""
    return sigma


@hookimpl
def mdnbench_noises():
    """One noise."""
    sigma = Option("sigma", float, minimum=0, maximum=255)
    return [NoiseSpec("noise-std", "1", "wrong", apply, std, (sigma,), "y = x + n")]
