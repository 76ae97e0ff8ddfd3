"""Wrong: its seed is the number of the process."""

from __future__ import annotations

import os

import torch

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """Its seed is the number of the process."""
    field = torch.randn(1024, 1024, generator=torch.Generator().manual_seed(os.getpid()))
    return lambda noisy, noise: noisy + field[: noisy.shape[2], : noisy.shape[3]] / 100


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("rebuild", "1", "wrong", build, licence="MIT", citation="none")]
