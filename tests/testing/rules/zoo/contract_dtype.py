"""Wrong: it computes in double precision and stays there."""

from __future__ import annotations

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It computes in double precision and stays there."""
    return lambda noisy, noise: noisy.double() / 2


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("contract-dtype", "1", "wrong", build, licence="MIT", citation="none")]
