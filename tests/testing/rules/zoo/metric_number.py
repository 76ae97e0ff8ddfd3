"""Wrong: it gives a number for each channel."""

from __future__ import annotations

from mdnbench import MetricSpec, hookimpl


def score(denoised, clean):
    """It gives a number for each channel."""
    return abs(denoised - clean).mean(axis=(0, 1))


@hookimpl
def mdnbench_metrics():
    """One metric."""
    return [MetricSpec("metric-number", "1", "wrong", "lower", lambda device: score, citation="none")]
