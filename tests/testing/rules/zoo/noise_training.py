"""Wrong: it knows arrays alone, and training has tensors."""

from __future__ import annotations

from mdnbench import NoiseSpec, Option, hookimpl


def apply(clean, rng, sigma):
    """It knows arrays alone, and training has tensors."""
    return clean.astype("float32") + rng.normal(clean.shape) * (sigma / 255)


def std(sigma):
    """The standard deviation that it declares."""
    return sigma / 255


@hookimpl
def mdnbench_noises():
    """One noise."""
    sigma = Option("sigma", float, minimum=0, maximum=255)
    return [NoiseSpec("noise-training", "1", "wrong", apply, std, (sigma,), "y = x + n")]
