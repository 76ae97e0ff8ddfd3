"""Wrong: it takes the tensor for an array."""

from __future__ import annotations

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It takes the tensor for an array."""
    return lambda noisy, noise: noisy.astype("float32")


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("contract-runs", "1", "wrong", build, licence="MIT", citation="none")]
