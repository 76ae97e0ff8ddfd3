"""Wrong: the inverse transform is not told the width, and gives an even one."""

from __future__ import annotations

import torch

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """The inverse transform is not told the width, and gives an even one."""
    return lambda noisy, noise: torch.fft.irfft2(torch.fft.rfft2(noisy))


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("contract-sizes", "1", "wrong", build, licence="MIT", citation="none")]
