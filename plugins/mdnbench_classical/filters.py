"""The classical denoisers over NumPy arrays; each `build_…` is a spec's build.

All are deterministic, keep no state and neither clip nor rescale: an unclipped noisy image is taken as it is. The
defaults were chosen at sigma 15, 25 and 50 on the photographs that scikit-image ships.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mdnbench import numpy_denoiser
from mdnbench_classical.colour import by_channel, by_opponent

if TYPE_CHECKING:
    from mdnbench import NoiseInfo
    from mdnbench.spec.names import Value
    from mdnbench.spec.specs import Denoise

TV_PER_STD = 0.9  # the best weight for std: 0.75 at sigma 15, 0.85 at 25, 0.95 at 50; all lose under 0.2 dB by 0.9
TV_ACCURACY, TV_ITERATIONS = 1e-5, 300  # scikit-image's own 2e-4 stops up to 1 dB short
LEVELS, SPACING = 4, 3  # wavelet scales; pixels between translations
SMALLEST = 16  # pixels; smaller images are reflected up to it for the wavelets and non-local means


def build_noisy(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """The input itself."""
    return numpy_denoiser(lambda noisy, noise: noisy)


def build_median(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """The median of `size` x `size` pixels, borders reflected."""
    from scipy.ndimage import median_filter

    size = int(options["size"])
    return numpy_denoiser(lambda noisy, noise: by_channel(noisy, lambda plane: median_filter(plane, size)))


def build_wavelet(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """BayesShrink, averaged over `shifts` x `shifts` translations."""
    from mdnbench_classical.wavelet import shrink

    shifts = int(options["shifts"])
    return _with_std(lambda plane, std: reflected(plane, lambda padded: shrink(padded, std, shifts, SPACING, LEVELS)))


def build_tv(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """Total variation of strength `weight`, or TV_PER_STD times the noise's standard deviation."""
    from skimage.restoration import denoise_tv_chambolle

    weight = float(options["weight"])

    def denoise(plane: Any, std: float) -> Any:
        return denoise_tv_chambolle(
            plane.astype(float), weight or TV_PER_STD * std, eps=TV_ACCURACY, max_num_iter=TV_ITERATIONS
        )

    return _with_std(denoise)


def build_nlm(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """Fast non-local means with the noise's variance taken off the patch distances."""
    from skimage.restoration import denoise_nl_means

    patch, distance, h = int(options["patch"]), int(options["distance"]), float(options["h"])

    def denoise(plane: Any, std: float) -> Any:
        return denoise_nl_means(
            plane, patch, distance, h=h * std, sigma=std, fast_mode=True, preserve_range=True, channel_axis=None
        )

    return _with_std(lambda plane, std: reflected(plane, lambda padded: denoise(padded, std)))


def reflected(plane: Any, denoise: Callable[[Any], Any]) -> Any:
    """`denoise` of a plane that is reflected up to SMALLEST pixels a side where it is smaller, cropped back."""
    import numpy as np

    height, width = plane.shape
    padded = np.pad(plane, [(0, max(0, SMALLEST - height)), (0, max(0, SMALLEST - width))], "symmetric")
    return denoise(padded)[:height, :width]


def _with_std(denoise: Callable[[Any, float], Any]) -> Denoise:
    """A denoiser that needs the noise's standard deviation, and estimates it where it is not told."""
    from mdnbench.evaluation.estimation import told_std

    def function(noisy: Any, noise: NoiseInfo) -> Any:
        std = told_std(noisy, noise)
        return by_opponent(noisy, lambda plane: denoise(plane, std)) if std > 0 else noisy

    return numpy_denoiser(function)
