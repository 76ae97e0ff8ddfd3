"""Wrong: nobody knows what to cite."""

from __future__ import annotations

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """Nobody knows what to cite."""
    return lambda noisy, noise: noisy.clone()


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("metadata-citation", "1", "wrong", build, licence="MIT")]
