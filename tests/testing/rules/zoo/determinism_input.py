"""Wrong: it clamps the image that it was given, in place."""

from __future__ import annotations

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It clamps the image that it was given, in place."""
    return lambda noisy, noise: noisy.clamp_(0, 1) / 2


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("determinism-input", "1", "wrong", build, licence="MIT", citation="none")]
