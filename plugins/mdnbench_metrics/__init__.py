"""The metrics PSNR, SSIM and LPIPS, by their published definitions."""

from __future__ import annotations

from mdnbench import MetricSpec, hookimpl


@hookimpl
def mdnbench_metrics() -> list[MetricSpec]:
    """Return the specifications of PSNR, SSIM and LPIPS."""
    from mdnbench_metrics import perceptual, psnr, ssim

    return [psnr.SPEC, ssim.SPEC, perceptual.SPEC]
