"""Apply BM3D according to the information about the noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mdnbench import numpy_denoiser
from mdnbench.evaluation.estimation import known_or_estimated_std
from mdnbench_bm3d.algorithm import Bm3d, load
from mdnbench_bm3d.anscombe import Anscombe
from mdnbench_bm3d.impulses import detect, repair
from mdnbench_bm3d.noise_parts import NoiseParts, known

if TYPE_CHECKING:
    from mdnbench import NoiseInfo
    from mdnbench.spec.names import Value
    from mdnbench.spec.specs import Denoise

# The error of medians in place of impulses, on photographs; values of 0.04 to 0.12 cost at most 0.7 dB.
REPAIR_STD = 0.08


@dataclass(frozen=True, slots=True)
class Denoiser:
    """BM3D with the steps before and after it: filling in impulses, and making photon noise Gaussian."""

    bm3d: Bm3d
    transform: bool
    impulses: bool

    def __call__(self, noisy: Any, noise: NoiseInfo) -> Any:
        """Denoise float32 (H, W) or (H, W, 3); noise of an unknown kind is treated as white."""
        model = known(noise)
        if model is None:
            return self.bm3d(noisy, known_or_estimated_std(noisy, noise))
        if not self.impulses or model.density == 0:
            return self._smooth(noisy, model)
        hit, repaired = _fill_in(noisy, model.density)
        rest = replace(model, density=0.0)
        if rest == NoiseParts():  # the samples that were not hit are clean
            return np.where(hit, self.bm3d(repaired, REPAIR_STD), noisy)
        return self._smooth(repaired, rest)

    def _smooth(self, image: Any, model: NoiseParts) -> Any:
        if not (self.transform and model.peak):
            return self.bm3d(image, model.average_std(image), model.width)
        stabiliser = Anscombe(model.peak, model.std)
        # BM3D's thresholds for patch distances are meant for images in [0, 1]
        low, high = (float(stabiliser.forward(intensity)) for intensity in (0.0, 1.0))
        scaled = (stabiliser.forward(image) - low) / (high - low)
        level = NoiseParts(1 / (high - low), density=model.density).average_std(scaled)
        return stabiliser.inverse(self.bm3d(scaled, level) * (high - low) + low)


def build(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """Return the denoiser of the spec; raise Unavailable if the bm3d package is missing."""
    bm3d = load(str(options["profile"]))
    return numpy_denoiser(Denoiser(bm3d, bool(options["transform"]), bool(options["impulses"])))


def _fill_in(noisy: Any, density: float) -> tuple[Any, Any]:
    """Return the positions of impulses, and the image without them, computed channel by channel."""
    planes = [noisy] if noisy.ndim == 2 else list(np.moveaxis(noisy, -1, 0))
    hits = [detect(plane, density) for plane in planes]
    filled = [repair(plane, hit, density) for plane, hit in zip(planes, hits, strict=True)]
    if noisy.ndim == 2:
        return hits[0], filled[0]
    return np.stack(hits, axis=-1), np.stack(filled, axis=-1)
