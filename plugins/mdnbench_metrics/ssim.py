"""The structural similarity index, as its authors defined it."""

from __future__ import annotations

from typing import Any

from mdnbench import MetricSetting, MetricSpec
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


def uniform_ssim(denoised: Image, clean: Image) -> float:
    """SSIM as scikit-image computes it when asked for nothing: uniform window 7×7, sample covariance."""
    import numpy as np
    from skimage.metrics import structural_similarity

    pair = (clean.astype(np.float64), denoised.astype(np.float64))
    return float(structural_similarity(*pair, data_range=1.0, channel_axis=-1 if clean.ndim == 3 else None))


def padded_ssim(denoised: Image, clean: Image) -> float:
    """The mean over the whole image, zeros beyond its edges, as convolutions of deep-learning libraries have it."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    def blurred(plane: Any) -> Any:
        return gaussian_filter(plane, SIGMA, truncate=TRUNCATE, mode="constant", axes=(0, 1))

    ours, theirs = denoised.astype(np.float64), clean.astype(np.float64)
    our_mean, their_mean = blurred(ours), blurred(theirs)
    our_variance, their_variance = blurred(ours**2) - our_mean**2, blurred(theirs**2) - their_mean**2
    covariance = blurred(ours * theirs) - our_mean * their_mean
    luminance = (2 * our_mean * their_mean + K1**2) / (our_mean**2 + their_mean**2 + K1**2)
    structure = (2 * covariance + K2**2) / (our_variance + their_variance + K2**2)
    return float((luminance * structure).mean())


def downsampled_ssim(denoised: Image, clean: Image) -> float:
    """SSIM after averaging and dropping pixels until the short side is about 256, as its authors advise for viewing."""
    factor = max(1, round(min(clean.shape[:2]) / 256))
    return ssim(_shrunk(denoised, factor), _shrunk(clean, factor))


def _shrunk(image: Image, factor: int) -> Image:
    """Every so many pixels of the image, each the mean of its neighbourhood."""
    import numpy as np
    from scipy.ndimage import uniform_filter

    mean = uniform_filter(image.astype(np.float64), factor, mode="mirror", axes=(0, 1))
    return np.asarray(mean[::factor, ::factor], dtype=np.float32)


def _build(_device: str) -> Score:
    import skimage.metrics  # noqa: F401 (imported here so that the first image does not wait for it)

    return ssim


def _build_uniform(_device: str) -> Score:
    return uniform_ssim


def _build_padded(_device: str) -> Score:
    return padded_ssim


def _build_downsampled(_device: str) -> Score:
    return downsampled_ssim


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
    settings=(
        MetricSetting("uniform", "scikit-image's defaults: uniform window 7×7, sample covariance", _build_uniform),
        MetricSetting("padded", "mean over the whole image, zeros beyond its edges", _build_padded),
        MetricSetting("downsampled", "after shrinking the short side to about 256 pixels", _build_downsampled),
    ),
    citation="Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment. IEEE TIP 13(4), 2004",
)
