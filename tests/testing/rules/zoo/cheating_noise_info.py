"""Wrong: it declares to be blind, and looks."""

from __future__ import annotations

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It declares to be blind, and looks."""
    return lambda noisy, noise: noisy * (1 - (noise.std or 0.1))


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("cheating-noise-info", "1", "wrong", build, licence="MIT", citation="none")]
