"""Wrong: it seeds the random numbers of the whole process."""

from __future__ import annotations

import torch

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It seeds the random numbers of the whole process."""

    def denoise(noisy, noise):
        torch.manual_seed(0)
        return noisy + torch.randn_like(noisy) / 100

    return denoise


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("determinism-state", "1", "wrong", build, licence="MIT", citation="none")]
