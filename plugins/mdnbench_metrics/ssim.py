"""The structural similarity index, as its authors defined it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import scipy
import skimage

from mdnbench.spec.specs import Image, Score

if TYPE_CHECKING:
    Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

SIGMA, TRUNCATE = 1.5, 3.5  # a radius of 3.5 sigma, rounded, is 5 pixels: the window is 11×11
K1, K2 = 0.01, 0.03
WINDOW = 11
BLOCK = 32  # pixels per product: large enough for the processor's matrix units, small enough for its cache


def ssim(denoised: Image, clean: Image) -> float:
    """Return the mean SSIM over the valid region: Gaussian window 11×11, sigma 1.5, K 0.01 and 0.03, range 1.

    For colour images it is the mean over the channels. Both images must have at least 11 pixels on each side.
    """
    if clean.ndim == 2:
        return _plane(denoised, clean)
    channels = range(clean.shape[2])
    return sum(_plane(denoised[..., channel], clean[..., channel]) for channel in channels) / len(channels)


def _plane(first: Image, second: Image) -> float:
    """Return the mean over one channel (H, W).

    Strips are processed one by one, because a strip fits the processor's cache.
    """
    height, width = first.shape[0] - WINDOW + 1, first.shape[1] - WINDOW + 1
    total = 0.0
    for top in range(0, height, BLOCK):
        rows = slice(top, min(top + BLOCK, height) + WINDOW - 1)
        total += float(_similarity(_moments(first[rows], second[rows])).sum())
    return float(total / (height * width))


def _moments(first: Image, second: Image) -> Array:
    """Return the weighted means of x, y, x² + y² and xy in every window of a strip: (4, H - 10, W - 10)."""
    x, y = first.astype(np.float64), second.astype(np.float64)
    down = np.matmul(_window(len(x) - WINDOW + 1), np.stack((x, y, x * x + y * y, x * y)))
    width = x.shape[1] - WINDOW + 1
    means = np.empty((4, down.shape[1], width))
    for left in range(0, width, BLOCK):
        right = min(left + BLOCK, width)
        np.matmul(down[..., left : right + WINDOW - 1], _window(right - left).T, out=means[..., left:right])
    return means


@cache
def _window(size: int) -> Array:
    """Return the Gaussian window at `size` neighbouring places as a matrix (size, size + 10). Its product filters."""
    taps = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    window = np.zeros((size, size + WINDOW - 1))
    for place in range(size):
        window[place, place : place + WINDOW] = taps / taps.sum()
    return window


def _similarity(means: Array) -> Array:
    """Return SSIM for each window, from its weighted means."""
    x, y, squares, product = means
    both, apart = x * y, x * x + y * y
    similarity: Array = (2 * both + K1**2) / (apart + K1**2)
    similarity *= (2 * (product - both) + K2**2) / (squares - apart + K2**2)
    return similarity


def uniform_ssim(denoised: Image, clean: Image) -> float:
    """Return SSIM by scikit-image's defaults: uniform window 7×7, sample covariance."""
    pair = (clean.astype(np.float64), denoised.astype(np.float64))
    return float(
        skimage.metrics.structural_similarity(*pair, data_range=1.0, channel_axis=-1 if clean.ndim == 3 else None)
    )


def padded_ssim(denoised: Image, clean: Image) -> float:
    """Return the mean over the whole image with zeros beyond its edges, as in deep-learning libraries' convolutions."""

    def blurred(plane: Any) -> Any:
        return scipy.ndimage.gaussian_filter(plane, SIGMA, truncate=TRUNCATE, mode="constant", axes=(0, 1))

    ours, theirs = denoised.astype(np.float64), clean.astype(np.float64)
    our_mean, their_mean = blurred(ours), blurred(theirs)
    our_variance, their_variance = blurred(ours**2) - our_mean**2, blurred(theirs**2) - their_mean**2
    covariance = blurred(ours * theirs) - our_mean * their_mean
    luminance = (2 * our_mean * their_mean + K1**2) / (our_mean**2 + their_mean**2 + K1**2)
    structure = (2 * covariance + K2**2) / (our_variance + their_variance + K2**2)
    return float((luminance * structure).mean())


def downsampled_ssim(denoised: Image, clean: Image) -> float:
    """Return SSIM after shrinking images to a short side of about 256 pixels, as its authors advise for viewing.

    Images are averaged and subsampled. The authors' own program places the windows of an even factor half a pixel
    elsewhere, and rounds a factor of 2.5 up.
    """
    factor = max(1, round(min(clean.shape[:2]) / 256))
    return ssim(_shrunk(denoised, factor), _shrunk(clean, factor))


def _shrunk(image: Image, factor: int) -> Image:
    """Return every `factor`-th pixel of the image, as the mean of its neighbourhood."""
    mean = scipy.ndimage.uniform_filter(image.astype(np.float64), factor, mode="mirror", axes=(0, 1))
    return np.asarray(mean[::factor, ::factor], dtype=np.float32)


def build(_device: str) -> Score:
    """Return SSIM, as a function of the denoised and the clean image."""
    return ssim


def build_uniform(_device: str) -> Score:
    """Return SSIM by scikit-image's defaults, as a function of the denoised and the clean image."""
    return uniform_ssim


def build_padded(_device: str) -> Score:
    """Return SSIM over the whole image, with zeros beyond its edges."""
    return padded_ssim


def build_downsampled(_device: str) -> Score:
    """Return SSIM after shrinking, as a function of the denoised and the clean image."""
    return downsampled_ssim
