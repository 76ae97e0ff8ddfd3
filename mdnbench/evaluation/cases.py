"""Make cases: a clean image and its noisy version, with the same bits whatever the order, the worker or the method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mdnbench.errors import BadPlugin
from mdnbench.evaluation.estimation import estimate_std
from mdnbench.evaluation.rng import NumpyRng, stream
from mdnbench.spec.records import Case, NoiseInfo, NoiseInfoSource
from mdnbench.util.digests import of_parts, of_pixels

if TYPE_CHECKING:
    from mdnbench.evaluation.protocols import ImageRule
    from mdnbench.spec.names import Named
    from mdnbench.spec.specs import Image, NoiseSpec, Wants


def key(image_digest: str, noise: Named, revision: str, seed: int) -> str:
    """Return the digest that seeds a case's noise.

    It depends on the image's pixels, the noise, the noise's revision and the seed index, and never on the method. If
    the installed NumPy draws other random numbers than the versions known to mdnbench, it also depends on these
    numbers, so that such cases have other keys.
    """
    return of_parts("case", image_digest, noise.name, list(noise.options), revision, seed, *stream())


def make(clean: Image, case_key: str, noise: Named, spec: NoiseSpec, rule: ImageRule, source: NoiseInfoSource) -> Case:
    """Make the noisy version of a clean image, and the noise info.

    Args:
        clean: The clean image, float32 (H, W) or (H, W, 3) in [0, 1].
        case_key: The key that seeds the noise.
        noise: The noise with its parameters.
        spec: The noise's spec.
        rule: The protocol's input rule.
        source: Whether the noise info is known, estimated or withheld.

    Raises:
        BadPlugin: The noise returns another shape or type, or values that are not finite.

    """
    noisy = rule.apply(_noisy(clean, case_key, noise, spec))
    return Case(clean, noisy, of_pixels(noisy), _info(noisy, noise, spec, source))


def _noisy(clean: Image, case_key: str, noise: Named, spec: NoiseSpec) -> Image:
    planes = clean[None] if clean.ndim == 2 else np.ascontiguousarray(clean.transpose(2, 0, 1))
    noisy = spec.apply(planes.copy(), NumpyRng(bytes.fromhex(case_key)), **noise.numbers())
    if noisy.shape != planes.shape or noisy.dtype != np.float32:
        raise BadPlugin(f"noise {noise.name!r} must give float32 {planes.shape}; it gave {noisy.dtype} {noisy.shape}.")
    if not np.isfinite(noisy).all():
        raise BadPlugin(f"noise {noise.text!r} gave NaN or infinite pixels.")
    return np.ascontiguousarray(noisy[0] if clean.ndim == 2 else noisy.transpose(1, 2, 0))


def _info(noisy: Image, noise: Named, spec: NoiseSpec, source: NoiseInfoSource) -> NoiseInfo:
    if source == "withheld":
        return NoiseInfo()
    if source == "estimated":
        return NoiseInfo(std=estimate_std(noisy), source="estimated")
    params = noise.numbers()
    return NoiseInfo(noise.name, params, spec.std(**params), "known")


def reduced_noise_info(info: NoiseInfo, wants: Wants) -> NoiseInfo:
    """Return as much of the known information about the noise as the method wants.

    Args:
        info: All that is known about the noise of a case.
        wants: What the method declares to need: "noise" (all of `info`), "std" or "nothing".
    """
    if wants == "noise":
        return info
    if wants == "std":
        return NoiseInfo(std=info.std, source=info.source)
    return NoiseInfo()
