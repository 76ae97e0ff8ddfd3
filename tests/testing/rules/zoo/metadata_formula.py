"""Wrong: nobody knows what it is."""

from __future__ import annotations

from mdnbench import NoiseSpec, Option, hookimpl


def apply(clean, rng, sigma):
    """Nobody knows what it is."""
    return clean + rng.normal(tuple(clean.shape)) * (sigma / 255)


def std(sigma):
    """The standard deviation that it declares."""
    return sigma / 255


@hookimpl
def mdnbench_noises():
    """One noise."""
    sigma = Option("sigma", float, minimum=0, maximum=255)
    return [NoiseSpec("metadata-formula", "1", "wrong", apply, std, (sigma,))]
