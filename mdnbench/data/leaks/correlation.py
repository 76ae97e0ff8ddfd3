"""Correlate two aligned images.

Each image is first reduced to its `features`: the local mean is subtracted and the local contrast is normalised. So a
smooth patch counts as much as a busy one, and brightness does not count at all. Everything here uses float32 arrays
(H, W).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

# Widths in pixels of the working resolution. A contrast below the floor (five of 255 grey levels) is mostly the noise
# of the camera and of JPEG, so it is not amplified to the contrast of an edge.
_FINE_WIDTH, _LOCAL_WIDTH, _CONTRAST_FLOOR = 0.7, 4.0, 0.02


def detail(image: Image, width: float = _LOCAL_WIDTH) -> Image:
    """Return the image without its finest grain and without its local mean.

    Args:
        image: The image, (H, W).
        width: The width in pixels over which the mean is computed.

    """
    smooth = gaussian_filter(image, _FINE_WIDTH, truncate=3)
    return np.asarray(smooth - gaussian_filter(smooth, width, truncate=3))


def features(image: Image) -> Image:
    """Return the image's detail with normalised local contrast, roughly in [-3, 3]."""
    fine = detail(image)
    contrast = np.sqrt(gaussian_filter(fine * fine, _LOCAL_WIDTH, truncate=3))
    return np.asarray(fine / (contrast + _CONTRAST_FLOOR), dtype=np.float32)


def of_aligned(one: Image, other: Image) -> float:
    """Return the correlation of two images of the same shape without an offset, in [-1, 1]; 0 if either is flat."""
    energies = float(np.square(one).sum()) * float(np.square(other).sum())
    return float((one * other).sum()) / math.sqrt(energies) if energies > 0 else 0.0


def agreeing_patches(one: Image, other: Image, side: int, least: float) -> int:
    """Return how many of the square patches of two aligned images (H, W) correlate by at least `least`.

    Args:
        one: The first image.
        other: The second image.
        side: The side of a patch in pixels.
        least: The smallest correlation that counts.

    """
    rows, columns = one.shape[0] // side, one.shape[1] // side

    def patches(image: Image) -> Image:
        cut = image[: rows * side, : columns * side].reshape(rows, side, columns, side)
        flat = cut.transpose(0, 2, 1, 3).reshape(rows * columns, side * side)
        return np.asarray(flat - flat.mean(axis=1, keepdims=True))

    a, b = patches(one), patches(other)
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return int(((a * b).sum(axis=1) >= least * np.maximum(norms, 1e-9)).sum())
