"""Wrong: it compares with a darker image."""

from __future__ import annotations

from mdnbench import MetricSpec, hookimpl


def score(denoised, clean):
    """It compares with a darker image."""
    return float(abs(denoised - 0.98 * clean).mean())


@hookimpl
def mdnbench_metrics():
    """One metric."""
    return [MetricSpec("metric-identity", "1", "wrong", "lower", lambda device: score, citation="none")]
