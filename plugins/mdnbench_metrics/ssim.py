"""The structural similarity index, as its authors defined it."""

from __future__ import annotations

from mdnbench import MetricSpec
from mdnbench.specs import Image, Score

SIGMA, TRUNCATE = 1.5, 3.5  # a radius of 3.5 sigma, rounded, is 5 pixels: the window is 11×11
K1, K2 = 0.01, 0.03
WINDOW = 11


def ssim(denoised: Image, clean: Image) -> float:
    """The mean SSIM over the valid region: Gaussian window 11×11, sigma 1.5, K 0.01 and 0.03, range 1.

    In colour it is the mean over the channels. Both images must be at least 11 pixels a side.
    """
    import numpy as np
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            clean.astype(np.float64),
            denoised.astype(np.float64),
            data_range=1.0,
            channel_axis=-1 if clean.ndim == 3 else None,
            gaussian_weights=True,
            sigma=SIGMA,
            truncate=TRUNCATE,
            use_sample_covariance=False,
            K1=K1,
            K2=K2,
        )
    )


def _build(_device: str) -> Score:
    import skimage.metrics  # noqa: F401 (imported here so that the first image does not wait for it)

    return ssim


SPEC = MetricSpec(
    name="ssim",
    revision="1",
    summary="Structural similarity, Gaussian window 11×11, valid region, channel mean",
    direction="higher",
    build=_build,
    digits=4,
    tolerance=0.002,
    min_size=WINDOW,
    packages=("scikit-image",),
    citation="Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment. IEEE TIP 13(4), 2004",
)
