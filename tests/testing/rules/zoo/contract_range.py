"""Wrong: it comes back on the 0-255 scale."""

from __future__ import annotations

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It comes back on the 0-255 scale."""
    return lambda noisy, noise: noisy * 255


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("contract-range", "1", "wrong", build, licence="MIT", citation="none")]
