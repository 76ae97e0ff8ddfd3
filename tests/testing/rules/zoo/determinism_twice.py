"""Wrong: its random numbers have no seed."""

from __future__ import annotations

import numpy as np
import torch

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """Its random numbers have no seed."""

    def denoise(noisy, noise):
        field = np.random.default_rng().standard_normal(noisy.shape, dtype=np.float32)
        return noisy + torch.from_numpy(field) / 100

    return denoise


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("determinism-twice", "1", "wrong", build, licence="MIT", citation="none")]
