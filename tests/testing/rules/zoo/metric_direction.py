"""Wrong: it is an error, and declares that more is better."""

from __future__ import annotations

from mdnbench import MetricSpec, hookimpl


def score(denoised, clean):
    """It is an error, and declares that more is better."""
    return float(abs(denoised - clean).mean())


@hookimpl
def mdnbench_metrics():
    """One metric."""
    return [MetricSpec("metric-direction", "1", "wrong", "higher", lambda device: score, citation="none")]
