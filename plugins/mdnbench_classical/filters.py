"""The classical denoisers over NumPy arrays; each `build_…` is the `build` of one spec.

All of them are deterministic and keep no state. They neither clip nor rescale: an unclipped noisy image is processed as
it is. The defaults were chosen at sigma 15, 25 and 50 on the photographs that are part of scikit-image.

SciPy and scikit-image import their parts when these are first used: here, when a method is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
import skimage

from mdnbench import numpy_denoiser
from mdnbench.evaluation.estimation import known_or_estimated_std
from mdnbench_classical.colour import by_channel, by_opponent

if TYPE_CHECKING:
    from mdnbench import NoiseInfo
    from mdnbench.spec.names import Value
    from mdnbench.spec.specs import Denoise

TV_PER_STD = 0.9  # the best factor is 0.75 at sigma 15, 0.85 at 25, 0.95 at 50; 0.9 loses less than 0.2 dB at each
TV_ACCURACY, TV_ITERATIONS = 1e-5, 300  # scikit-image's default of 2e-4 stops too early and loses up to 1 dB
LEVELS, SPACING = 4, 3  # wavelet scales; pixels between translations
SMALLEST = 16  # pixels; smaller images are padded by reflection for wavelets and non-local means


def build_noisy(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """Return a denoiser that returns its input."""
    return numpy_denoiser(lambda noisy, noise: noisy)


def build_median(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """Return the median filter over `size` x `size` pixels, with reflected borders."""
    size, median_filter = int(options["size"]), scipy.ndimage.median_filter
    return numpy_denoiser(lambda noisy, noise: by_channel(noisy, lambda plane: median_filter(plane, size)))


def build_wavelet(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """Return BayesShrink averaged over `shifts` x `shifts` translations."""
    from mdnbench_classical.wavelet import shrink  # needs PyWavelets, which the other filters do not

    shifts = int(options["shifts"])
    return _with_std(lambda plane, std: reflected(plane, lambda padded: shrink(padded, std, shifts, SPACING, LEVELS)))


def build_tv(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """Return total variation of strength `weight`, or of TV_PER_STD times the noise's standard deviation if it is 0."""
    weight = float(options["weight"])
    denoise_tv_chambolle: Any = skimage.restoration.denoise_tv_chambolle

    def denoise(plane: Any, std: float) -> Any:
        return denoise_tv_chambolle(
            plane.astype(float), weight or TV_PER_STD * std, eps=TV_ACCURACY, max_num_iter=TV_ITERATIONS
        )

    return _with_std(denoise)


def build_nlm(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """Return fast non-local means in which the noise's variance is subtracted from the patch distances."""
    patch, distance, h = int(options["patch"]), int(options["distance"]), float(options["h"])
    denoise_nl_means: Any = skimage.restoration.denoise_nl_means

    def denoise(plane: Any, std: float) -> Any:
        return denoise_nl_means(
            plane, patch, distance, h=h * std, sigma=std, fast_mode=True, preserve_range=True, channel_axis=None
        )

    return _with_std(lambda plane, std: reflected(plane, lambda padded: denoise(padded, std)))


def reflected(plane: Any, denoise: Callable[[Any], Any]) -> Any:
    """Apply a function to a plane that is padded by reflection to at least SMALLEST pixels a side; crop the result."""
    height, width = plane.shape
    padded = np.pad(plane, [(0, max(0, SMALLEST - height)), (0, max(0, SMALLEST - width))], "symmetric")
    return denoise(padded)[:height, :width]


def _with_std(denoise: Callable[[Any, float], Any]) -> Denoise:
    """Return a denoiser that gets the noise's standard deviation, or an estimate if it is unknown."""

    def function(noisy: Any, noise: NoiseInfo) -> Any:
        std = known_or_estimated_std(noisy, noise)
        return by_opponent(noisy, lambda plane: denoise(plane, std)) if std > 0 else noisy

    return numpy_denoiser(function)
