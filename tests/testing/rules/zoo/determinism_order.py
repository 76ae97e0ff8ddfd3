"""Wrong: the first image that it ever sees decides how bright all others become."""

from __future__ import annotations

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """The first image that it ever sees decides how bright all others become."""
    means = []

    def denoise(noisy, noise):
        means.append(noisy.mean())
        return noisy - noisy.mean() + means[0]

    return denoise


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("determinism-order", "1", "wrong", build, licence="MIT", citation="none")]
