"""How strong the noise is, from the noisy image alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdnbench.spec.records import NoiseInfo
    from mdnbench.spec.specs import Image

SMALLEST = 8  # pixels; below, the wavelet transform sees little but its own borders


def estimate_std(noisy: Image) -> float:
    """The noise's standard deviation on the [0, 1] scale; `noisy` is float32 (H, W) or (H, W, 3).

    The median of the finest diagonal wavelet coefficients over 0.6745 (Donoho and Johnstone, Biometrika 1994), averaged
    over the channels: what `skimage.restoration.estimate_sigma` computes, and 0 where that has no answer, since nothing
    varies. It believes the noise to be white: noise that is correlated looks weaker to it than it is.
    """
    planes = [noisy] if noisy.ndim == 2 else list(noisy.transpose(2, 0, 1))
    return sum(_plane_std(plane) for plane in planes) / len(planes)


def told_std(noisy: Image, noise: NoiseInfo) -> float:
    """The noise's standard deviation as a method is told it, or else as it is estimated from the noisy image."""
    return estimate_std(noisy) if noise.std is None else noise.std


def _plane_std(plane: Any) -> float:
    import numpy as np
    import pywt

    lacking = [max(0, SMALLEST - side) for side in plane.shape]
    padded = np.pad(plane, [(0, lack) for lack in lacking], "symmetric")
    detail = pywt.dwtn(padded, "db2")["dd"]
    detail = detail[detail != 0]  # exact zeros are flat places, not noise
    return float(np.median(np.abs(detail)) / 0.6744897501960817) if detail.size else 0.0
