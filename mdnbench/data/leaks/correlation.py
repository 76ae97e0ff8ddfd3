"""Correlate two images at all offsets between them.

Each image is first reduced to its `features`: the local mean is subtracted and the local contrast is normalised. So a
smooth patch counts as much as a busy one, and brightness does not count at all. Everything here uses NumPy and SciPy's
FFT on float32 arrays (H, W).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.fft
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


class Sliding:
    """An image's features, prepared for correlation with other images at many offsets."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self._energy = _summed_squares(image)
        self._spectra: dict[tuple[int, int], Any] = {}

    def over_edges(self, stack: Image, least: float) -> tuple[Image, Image]:
        """Correlate a stack of images at every offset; parts beyond the edges are left out.

        Args:
            stack: The images, (N, h, w).
            least: The smallest share of h × w that must overlap.

        Returns:
            The correlations (N, H+h-1, W+w-1) in [-1, 1], which are 0 for a smaller overlap than `least`, and the
            overlap in pixels (H+h-1, W+w-1). Entry [i, j] belongs to the offset (i-h+1, j-w+1) of the stack's corner.

        """
        (height, width), (h, w) = self.image.shape, stack.shape[1:]
        shape = scipy.fft.next_fast_len(height + h - 1, True), scipy.fft.next_fast_len(width + w - 1, True)
        product = scipy.fft.rfft2(stack[:, ::-1, ::-1], shape)
        product *= self._spectrum(shape)
        shared = scipy.fft.irfft2(product, shape)[:, : height + h - 1, : width + w - 1]
        mine = _window_sums(self._energy, h, w)
        theirs = _window_sums(_summed_squares(stack), height, width)[:, ::-1, ::-1]
        area = _lengths(height, h)[:, None] * _lengths(width, w)
        # Without the second term, two flat parts would correlate through rounding errors.
        shared /= np.sqrt(np.maximum(mine * theirs, 1e-4 * area * area))
        shared *= area >= least * h * w
        return shared, area

    def inside(self, patch: Image) -> Image:
        """Correlate a smaller image at every offset at which it is completely inside; (H-h+1, W-w+1) in [-1, 1]."""
        (height, width), (h, w) = self.image.shape, patch.shape
        shape = scipy.fft.next_fast_len(height, True), scipy.fft.next_fast_len(width, True)
        product = np.conj(scipy.fft.rfft2(patch, shape)) * self._spectrum(shape)
        shared = scipy.fft.irfft2(product, shape)[: height - h + 1, : width - w + 1]
        table = self._energy
        mine = table[h:, w:] - table[:-h, w:] - table[h:, :-w] + table[:-h, :-w]
        theirs = float(np.square(patch).sum())
        return np.asarray(shared / np.sqrt(np.maximum(mine * theirs, 1e-4 * (h * w) ** 2)), dtype=np.float32)

    def _spectrum(self, shape: tuple[int, int]) -> Any:
        if shape not in self._spectra:
            self._spectra[shape] = scipy.fft.rfft2(self.image, shape)
        return self._spectra[shape]


def peak(values: Image, index: int) -> float:
    """Return the position of the maximum of the parabola through a maximum and its two neighbours, in fractions."""
    if not 0 < index < len(values) - 1:
        return float(index)
    before, at, after = (float(value) for value in values[index - 1 : index + 2])
    bend = before - 2 * at + after
    return index + (before - after) / 2 / bend if bend < 0 else float(index)


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


def _summed_squares(image: Image) -> Image:
    """Return the summed-area table of the squares over the last two axes, one row and column larger."""
    table = np.zeros((*image.shape[:-2], image.shape[-2] + 1, image.shape[-1] + 1), dtype=np.float32)
    squares = np.square(image, dtype=np.float64)
    table[..., 1:, 1:] = squares.cumsum(axis=-2).cumsum(axis=-1)
    return table


def _window_sums(table: Image, h: int, w: int) -> Image:
    """Return the sums over h × w windows at all offsets from -h+1 on; values outside count as 0."""
    edges = [(0, 0)] * (table.ndim - 2) + [(h - 1, h - 1), (w - 1, w - 1)]
    table = np.pad(table, edges, mode="edge")
    rows = table[..., h:, :] - table[..., :-h, :]
    return np.asarray(rows[..., w:] - rows[..., :-w])


def _lengths(whole: int, part: int) -> Image:
    """Return the overlap of two lengths at all offsets from -part+1 to whole-1."""
    offsets = np.arange(whole + part - 1, dtype=np.float32)
    return np.minimum(np.minimum(offsets + 1, offsets[::-1] + 1), np.float32(min(whole, part)))
