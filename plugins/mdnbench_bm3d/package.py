"""Call the PyPI package `bm3d` with images of any size, on one thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mdnbench import Unavailable
from mdnbench_bm3d.spectrum import box_spectrum

PROFILES = {
    "np": "BM3DProfile",
    "lc": "BM3DProfileLC",
    "high": "BM3DProfileHigh",
    "vn": "BM3DProfileVN",
}
SMALLEST = 16  # pixels; the package crashes on images no larger than its blocks, which are up to 12 pixels wide
# Thresholds for correlated noise. The package's own estimate of them calls numpy.trapz, which newer NumPy lacks. On
# scikit-image's image `camera`, the results with these thresholds are within 0.1 dB of those with the estimate, for
# boxes of 2 to 7 pixels at sigma 15 and 50.
CORRELATED_THRESHOLD, CORRELATED_MU2 = 3.0, 1.0


@dataclass(frozen=True, slots=True)
class Package:
    """BM3D with one profile, as a function of an image (H, W) or (H, W, 3) and a noise level; the result is float64."""

    package: Any
    profile: str

    def __call__(self, image: Any, std: float, width: int = 1) -> Any:
        """Denoise an image.

        Args:
            image: The noisy image, (H, W) or (H, W, 3).
            std: The noise's standard deviation on the scale of the image.
            width: The width in pixels of the box that has filtered the noise; 1 for white noise.

        """
        if std <= 0:
            return np.array(image)
        height, breadth = image.shape[:2]
        lacking = [(0, max(0, SMALLEST - side)) for side in (height, breadth)] + [(0, 0)] * (image.ndim - 2)
        padded = np.pad(image, lacking, "symmetric")
        return self._denoise(padded, std, width)[:height, :breadth]

    def _denoise(self, image: Any, std: float, width: int) -> Any:
        level = std if width == 1 else box_spectrum(image.shape[:2], std, width)
        profile = self._profile(correlated=width > 1)
        if image.ndim == 2:
            return self.package.bm3d(image, level, profile)
        if _has_flat_channel(image, std):
            return np.stack([self.package.bm3d(image[..., c], level, profile) for c in range(3)], axis=-1)
        return self.package.bm3d_rgb(image, level, profile)

    def _profile(self, correlated: bool) -> Any:
        profile = getattr(self.package, PROFILES[self.profile])()
        profile.num_threads = 1  # with more threads, sums are computed in another order and the last digits change
        if correlated:
            profile.lambda_thr3d, profile.mu2 = CORRELATED_THRESHOLD, CORRELATED_MU2
        return profile


def load(profile: str) -> Package:
    """Return BM3D with the named profile.

    Raises:
        Unavailable: The package is not installed, or its library cannot be loaded.

    """
    try:
        import bm3d
    except (ImportError, OSError) as error:
        raise Unavailable(
            f"the bm3d package cannot be imported ({error}); "
            "install it with: pip install 'mdnbench[bm3d]' (for non-commercial use only)."
        ) from error
    return Package(bm3d, profile)


def _has_flat_channel(image: Any, std: float) -> bool:
    """Return whether a colour difference hardly varies, as in gray stored as colour.

    bm3d_rgb would divide by the range of that difference.
    """
    differences = (image[..., 0] - image[..., 2], image[..., 0] - 2 * image[..., 1] + image[..., 2], image.sum(axis=-1))
    return any(bool(np.ptp(difference) < 0.01 * std) for difference in differences)
