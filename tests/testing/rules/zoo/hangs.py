"""Wrong: it never comes back."""

from __future__ import annotations

import time

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It never comes back."""

    def denoise(noisy, noise):
        while True:
            time.sleep(1)

    return denoise


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("hangs", "1", "wrong", build, licence="MIT", citation="none")]
