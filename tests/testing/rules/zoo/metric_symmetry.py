"""Wrong: it divides by the clean image, and declares that the two may change places."""

from __future__ import annotations

from mdnbench import MetricSpec, hookimpl


def score(denoised, clean):
    """It divides by the clean image, and declares that the two may change places."""
    return float((abs(denoised - clean) / (clean + 0.1)).mean())


@hookimpl
def mdnbench_metrics():
    """One metric."""
    return [MetricSpec("metric-symmetry", "1", "wrong", "lower", lambda device: score, citation="none", symmetric=True)]
