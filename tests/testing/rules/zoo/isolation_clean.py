"""Wrong: it looks among the objects of its process for the clean image."""

from __future__ import annotations

import gc

import torch

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It looks among the objects of its process for the clean image."""

    def denoise(noisy, noise):
        for found in gc.get_objects():
            if type(found).__name__ == "Case" and found.clean.shape == tuple(noisy.shape[2:]):
                return torch.from_numpy(found.clean.copy())[None, None]
        return noisy * 0.5

    return denoise


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("isolation-clean", "1", "wrong", build, licence="MIT", citation="none")]
