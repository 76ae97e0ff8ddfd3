"""Wavelet shrinkage that does not depend on where the wavelet's grid lies."""

from __future__ import annotations

from typing import Any


def shrink(plane: Any, std: float, shifts: int, spacing: int, levels: int) -> Any:
    """BayesShrink of (H, W) with the db2 wavelet, averaged over `shifts` x `shifts` translations.

    The plane is reflected at its borders and looked at through windows that lie `spacing` pixels apart; a wrapped
    translation, which is the custom, would put an edge where there is none (0.1 dB).
    """
    import numpy as np

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
    import pywt
    from skimage.restoration import denoise_wavelet

    # scikit-image's own number of levels falls to one on small images, and leaves their coarse noise in
    levels = max(1, min(levels, pywt.dwtn_max_level(window.shape, "db2")))
    return denoise_wavelet(window, std, wavelet="db2", wavelet_levels=levels, rescale_sigma=False)
