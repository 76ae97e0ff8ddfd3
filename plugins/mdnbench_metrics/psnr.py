"""The peak signal-to-noise ratio."""

from __future__ import annotations

from mdnbench import MetricSpec
from mdnbench.spec.specs import Image, Score


def psnr(denoised: Image, clean: Image) -> float:
    """Return 10 log10(1 / MSE) in dB, with the mean over all pixels and channels; infinite for equal images."""
    import numpy as np

    difference = denoised.astype(np.float64) - clean
    error = float(np.mean(difference * difference))
    return float(-10 * np.log10(error)) if error > 0 else float("inf")


def _build(_device: str) -> Score:
    return psnr


SPEC = MetricSpec(
    name="psnr",
    revision="1",
    summary="Peak signal-to-noise ratio, channels jointly",
    direction="higher",
    build=_build,
    unit="dB",
    digits=2,
    tolerance=0.05,
    citation="Huynh-Thu, Ghanbari: Scope of Validity of PSNR. Electronics Letters 44(13), 2008",
    symmetric=True,
)
