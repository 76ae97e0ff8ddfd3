"""Estimate the strength of the noise from the noisy image alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mdnbench.spec.records import NoiseInfo
    from mdnbench.spec.specs import Image

SMALLEST = 8  # pixels; smaller images are padded, because border effects would dominate the wavelet transform


def estimate_std(noisy: Image) -> float:
    """Return an estimate of the noise's standard deviation on the [0, 1] scale.

    It is the median of the finest diagonal wavelet coefficients divided by 0.6745 (Donoho and Johnstone, Biometrika
    1994), averaged over the channels. This equals `skimage.restoration.estimate_sigma`, but it is 0 for an image
    without variation, for which that function has no result. The estimate assumes white noise and is too low for
    correlated noise.

    Args:
        noisy: The noisy image, float32 (H, W) or (H, W, 3).

    """
    planes = [noisy] if noisy.ndim == 2 else list(noisy.transpose(2, 0, 1))
    return sum(_plane_std(plane) for plane in planes) / len(planes)


def known_or_estimated_std(noisy: Image, noise: NoiseInfo) -> float:
    """Return the noise's standard deviation from the noise info, or an estimate from the noisy image if it has none."""
    return estimate_std(noisy) if noise.std is None else noise.std


def _plane_std(plane: Any) -> float:
    import pywt

    lacking = [max(0, SMALLEST - side) for side in plane.shape]
    padded = np.pad(plane, [(0, lack) for lack in lacking], "symmetric")
    detail = pywt.dwtn(padded, "db2")["dd"]
    detail = detail[detail != 0]  # exact zeros come from flat areas, not from noise
    return float(np.median(np.abs(detail)) / 0.6744897501960817) if detail.size else 0.0
