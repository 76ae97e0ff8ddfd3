"""Wrong: it remembers what it has denoised."""

from __future__ import annotations

import torch

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It remembers what it has denoised."""
    known = {}

    def denoise(noisy, noise):
        key = noisy.numpy().tobytes()
        if key not in known:
            known[key] = noisy.clone()
            for _ in range(300):
                known[key] = torch.nn.functional.avg_pool2d(known[key], 3, 1, 1)
        return known[key].clone()

    return denoise


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("cheating-repeat", "1", "wrong", build, licence="MIT", citation="none")]
