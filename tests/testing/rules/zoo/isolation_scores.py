"""Wrong: it replaces a function of NumPy that metrics call too."""

from __future__ import annotations

import numpy as np

from mdnbench import DenoiserSpec, hookimpl


def build(options, device, weights):
    """It replaces a function of NumPy that metrics call too."""
    true_mean = np.mean

    def mean(values, *arguments, **options):
        return true_mean(values, *arguments, **options) * 0.5

    if np.mean.__module__ == "numpy":
        np.mean = mean
    return lambda noisy, noise: noisy * 0.5


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("isolation-scores", "1", "wrong", build, licence="MIT", citation="none")]
