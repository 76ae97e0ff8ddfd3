"""Wavelet shrinkage whose result does not depend on the position of the wavelet grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pywt
from skimage.restoration import denoise_wavelet


def shrink(plane: Any, std: float, shifts: int, spacing: int, levels: int) -> Any:
    """Return BayesShrink of (H, W) with the db2 wavelet, averaged over `shifts` x `shifts` translations.

    The plane is reflected at its borders and processed in windows that are `spacing` pixels apart. The usual wrapped
    translation would create an edge at the borders, which costs 0.1 dB.

    Args:
        plane: The image, (H, W).
        std: The noise's standard deviation on the scale of the image.
        shifts: The number of translations along each axis.
        spacing: The distance between translations in pixels.
        levels: The number of wavelet scales.

    """
    height, width = plane.shape
    reach = (shifts - 1) * spacing
    padded = np.pad(plane.astype(np.float64), reach, "symmetric")
    total = np.zeros((height, width))
    for top in range(0, reach + 1, spacing):
        for left in range(0, reach + 1, spacing):
            window = padded[top : top + height + reach, left : left + width + reach]
            row, column = reach - top, reach - left
            total += _shrink_once(window, std, levels)[row : row + height, column : column + width]
    return total / shifts**2


def _shrink_once(window: Any, std: float, levels: int) -> Any:
    # By default scikit-image uses a single level for small images, which leaves their coarse noise.
    levels = max(1, min(levels, pywt.dwtn_max_level(window.shape, "db2")))
    return denoise_wavelet(window, std, wavelet="db2", wavelet_levels=levels, rescale_sigma=False)
