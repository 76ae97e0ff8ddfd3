"""Wrong: nobody knows whether it may be used."""

from __future__ import annotations

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """Nobody knows whether it may be used."""
    return lambda noisy, noise: noisy.clone()


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("metadata-licence", "1", "wrong", build, citation="none")]
