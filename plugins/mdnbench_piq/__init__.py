"""More metrics, from the piq package: MS-SSIM, IW-SSIM, VIF, GMSD, FSIM, HaarPSI, VSI and DISTS."""

from __future__ import annotations

from mdnbench import MetricSpec, hookimpl
from mdnbench_piq import specs


@hookimpl
def mdnbench_metrics() -> list[MetricSpec]:
    """Return the specifications of these metrics.

    They are computed only if they are named, and are not part of `all`.
    """
    return [*map(specs.spec, specs.MEASURES), specs.DISTS]
