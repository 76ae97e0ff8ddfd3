"""Wrong: colour is declared, and never tried."""

from __future__ import annotations

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """Colour is declared, and never tried."""
    return lambda noisy, noise: noisy.view(1, 1, *noisy.shape[2:]) / 2


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("contract-channels", "1", "wrong", build, channels=(1, 3), licence="MIT", citation="none")]
