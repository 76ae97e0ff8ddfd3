"""The metrics PSNR, SSIM and LPIPS, by their published definitions."""

from __future__ import annotations

from mdnbench import MetricSpec, hookimpl
from mdnbench_metrics import specs


@hookimpl
def mdnbench_metrics() -> list[MetricSpec]:
    """Return the specifications of PSNR, SSIM and LPIPS."""
    return [specs.PSNR, specs.SSIM, specs.LPIPS]
