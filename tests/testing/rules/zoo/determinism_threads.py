"""Wrong: every thread leaves a trace."""

from __future__ import annotations

import torch

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """Every thread leaves a trace."""
    return lambda noisy, noise: noisy * (1 - 0.01 * torch.get_num_threads())


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("determinism-threads", "1", "wrong", build, licence="MIT", citation="none")]
