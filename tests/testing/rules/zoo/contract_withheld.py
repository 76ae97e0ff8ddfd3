"""Wrong: it believes that the noise is always known."""

from __future__ import annotations

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It believes that the noise is always known."""
    return lambda noisy, noise: noisy * (1 - noise.std)


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("contract-withheld", "1", "wrong", build, wants="std", licence="MIT", citation="none")]
