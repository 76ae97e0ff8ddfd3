"""More metrics, by the piq package: MS-SSIM, IW-SSIM, VIF, GMSD, FSIM, HaarPSI, VSI and DISTS."""

from __future__ import annotations

from mdnbench import MetricSpec, hookimpl


@hookimpl
def mdnbench_metrics() -> list[MetricSpec]:
    """All of them, computed where they are named and left out of `all`."""
    from mdnbench_piq import dists, measures

    return [*map(measures.spec, measures.MEASURES), dists.SPEC]
