"""Wrong: it ends the process that it is in."""

from __future__ import annotations

import os

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It ends the process that it is in."""
    return lambda noisy, noise: os._exit(7)


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("dies", "1", "wrong", build, licence="MIT", citation="none")]
