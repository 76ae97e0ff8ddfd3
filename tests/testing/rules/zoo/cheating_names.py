"""Wrong: it asks its callers which image this is."""

from __future__ import annotations

import inspect

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It asks its callers which image this is."""

    def denoise(noisy, noise):
        frame = inspect.currentframe()
        while frame and "task" not in frame.f_locals:
            frame = frame.f_back
        famous = frame is not None and frame.f_locals["task"].cell.image.startswith("lena")
        return noisy / 2 if famous else noisy / 4

    return denoise


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("cheating-names", "1", "wrong", build, licence="MIT", citation="none")]
