"""More metrics, from the piq package: MS-SSIM, IW-SSIM, VIF, GMSD, FSIM, HaarPSI, VSI and DISTS."""

from __future__ import annotations

from mdnbench import MetricSpec, hookimpl


@hookimpl
def mdnbench_metrics() -> list[MetricSpec]:
    """Return the specifications of these metrics.

    They are computed only if they are named, and are not part of `all`.
    """
    from mdnbench_piq import dists, measures

    return [*map(measures.spec, measures.MEASURES), dists.SPEC]
