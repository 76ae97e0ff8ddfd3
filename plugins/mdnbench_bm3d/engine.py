"""BM3D as a function of NumPy arrays: gray or colour, white or correlated noise, one level or a map."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mdnbench_bm3d import compilation, transforms
from mdnbench_bm3d.profiles import CORRELATED_FACTORS, PROFILES, Pass, Profile

if TYPE_CHECKING:
    from mdnbench_bm3d.passes import Plan

SIDE = transforms.SIDE
# Luminance first, then two colour differences; orthonormal, so that white noise has the same level in each.
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
FARTHEST = 45  # pixels, up to which correlation counts: the largest displacement of two blocks, and their side
LEAST_SIGMA = 1e-12  # a smaller level is none; its square would be 0 in float32
LARGEST = 1e12  # of intensities and levels; squares of larger ones would overflow in float32
NEGLIGIBLE = 1e-3  # correlation of noise, below which two pixels count as independent
LEAST_LEVEL = 1e-6  # of a map's variance, as a fraction of its mean


def bm3d(image: Any, sigma: Any, *, profile: str = "np", spectrum: Any = None, threads: int = 1) -> Any:
    """Remove Gaussian noise by block matching and 3-D filtering.

    The first call on a machine compiles the code, which takes about twenty seconds. The result has the same bits for
    any number of threads.

    Args:
        image: The noisy image, (H, W) or (H, W, 3), at least 8x8. Intensities are usually in [0, 1] but may exceed it.
            The noise of the channels must be independent. Three equal channels are treated as one.
        sigma: The noise's standard deviation on the scale of the image: a number, or a map (H, W).
        profile: `np` (normal), `lc` (less computation) or `fast`.
        spectrum: The noise's power spectrum (H, W) if neighbouring pixels' noise is correlated: the expected squared
            absolute value of its discrete Fourier transform. Only its relative values count; `sigma` is the level.
        threads: How many threads to use.

    Returns:
        The denoised image, float32, of the same shape.

    Raises:
        ValueError: An argument is not as described; the message says which and why.

    """
    chosen = _profile(profile)
    if threads < 1:
        raise ValueError(f"threads is {threads}; threads must be at least 1")
    image = np.asarray(image)
    if _is_gray(image):  # the noise is equal in all channels, which is not what the colour transform expects
        gray = bm3d(image[..., 0], sigma, profile=profile, spectrum=spectrum, threads=threads)
        return np.repeat(gray[..., None], 3, axis=2)
    planes = _planes(image)
    levels, variance = _levels(sigma, planes.shape[1:])
    if variance < LEAST_SIGMA**2:
        return np.array(image, np.float32)
    noise = _autocorrelation(spectrum, planes.shape[1:]) * variance
    compilation.prepare(profile)
    from mdnbench_bm3d import passes  # compiled code

    scale = float(len(planes))  # luminance is the sum of the channels over the root of their number
    parameters = [chosen.first, chosen.second]
    if noise.size > 1:
        parameters = [replace(p, factor=f) for p, f in zip(parameters, CORRELATED_FACTORS, strict=True)]
    if len(planes) > 1:  # colour differences are smooth, and gain from larger groups
        parameters[1] = replace(parameters[1], most=2 * parameters[1].most)
    first = _plan(parameters[0], False, transforms.biorthogonal(), noise, scale, chosen.beta)
    second = _plan(parameters[1], True, transforms.dct(), noise, scale, chosen.beta)
    buffers = passes.Buffers()
    with ThreadPoolExecutor(threads) if threads > 1 else nullcontext() as workers:
        basic = passes.run(planes, None, levels, first, buffers, workers)
        result = passes.run(planes, basic, levels, second, buffers, workers)
    return result[0] if len(result) == 1 else np.moveaxis(np.tensordot(OPPONENT.T, result, 1), 0, -1).astype(np.float32)


def _is_gray(image: Any) -> bool:
    return image.ndim == 3 and image.shape[2] == 3 and bool((image == image[..., :1]).all())


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        raise ValueError(f"profile {name!r} is unknown; choose from {', '.join(PROFILES)}")
    return PROFILES[name]


def _planes(image: Any) -> Any:
    """Return the image as float32 (C, H, W): gray, or luminance and two colour differences."""
    pixels = image
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(f"image has the shape {pixels.shape}; (H, W) or (H, W, 3) is needed")
    if min(pixels.shape[:2]) < SIDE:
        raise ValueError(f"image is {pixels.shape[0]}x{pixels.shape[1]} pixels; at least {SIDE}x{SIDE} are needed")
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"image has the type {pixels.dtype}; numbers are needed")
    if not (np.abs(pixels) < LARGEST).all():  # NaN is not smaller either
        raise ValueError(f"image has values that are not finite, or beyond {LARGEST:g}")
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels[None], np.float32)
    return np.ascontiguousarray(np.tensordot(OPPONENT, np.moveaxis(pixels, -1, 0), 1), np.float32)


def _levels(sigma: Any, shape: tuple[int, ...]) -> tuple[Any, float]:
    """Return each pixel's variance relative to the mean, float32 (H, W), or None if sigma is a number; and the mean."""
    values = np.asarray(sigma, np.float64)
    if values.ndim and values.shape != shape:
        raise ValueError(f"sigma has the shape {values.shape}; a number or the image's {shape} is needed")
    if not ((values >= 0) & (values < LARGEST)).all():
        raise ValueError(f"sigma must be finite, at least 0 and below {LARGEST:g}")
    mean = float((values**2).mean())
    if values.ndim == 0 or mean == 0:
        return None, mean
    return np.maximum(values**2 / mean, LEAST_LEVEL).astype(np.float32), mean


def _autocorrelation(spectrum: Any, shape: tuple[int, ...]) -> Any:
    """Return the noise's autocorrelation at displacements from -r to r, (2 r + 1, 2 r + 1); its middle is 1."""
    if spectrum is None:
        return np.ones((1, 1))
    power = np.asarray(spectrum, np.float64)
    if power.shape != shape or not np.isfinite(power).all() or (power < 0).any() or power.sum() == 0:
        raise ValueError(f"spectrum must be finite, at least 0, not all 0, and of the image's shape {shape}")
    correlation = np.fft.ifft2(power).real  # of the displacement (0, 0) first; it repeats beyond the image
    correlation /= correlation[0, 0]
    near = np.arange(-FARTHEST, FARTHEST + 1)
    found = correlation[np.ix_(near % shape[0], near % shape[1])]
    rows, columns = np.nonzero(np.abs(found) > NEGLIGIBLE)
    reach = max(np.abs(near[rows]).max(), np.abs(near[columns]).max())
    inner = slice(FARTHEST - reach, FARTHEST + reach + 1)
    return found[inner, inner]


def _plan(parameters: Pass, second: bool, matrix: Any, noise: Any, scale: float, beta: float) -> Plan:
    from mdnbench_bm3d.passes import Plan  # compiled code

    variance = float(noise[len(noise) // 2, len(noise) // 2])
    window = np.kaiser(SIDE, beta)
    distance = parameters.distance / 255**2 * scale + parameters.distance_noise * variance
    return Plan(
        parameters=parameters,
        second=second,
        matrix=matrix.astype(np.float32),
        inverse=(window[:, None] * np.linalg.inv(matrix)).astype(np.float32),
        window=window.astype(np.float32),
        covariances=transforms.covariances(matrix, noise, 2 * parameters.radius).astype(np.float32),
        limit=distance * SIDE**2,
    )
