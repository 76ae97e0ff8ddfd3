"""Call a method that expects white Gaussian noise with an image whose noise has been made so, and convert it back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mdnbench.evaluation import outputs
from mdnbench.evaluation.adapters import to_numpy, to_tensor
from mdnbench.evaluation.cases import reduced_noise_info
from mdnbench.spec.records import NoiseInfo
from mdnbench.wrappers.stabilisation import impulses
from mdnbench.wrappers.stabilisation.anscombe import Anscombe
from mdnbench.wrappers.stabilisation.logarithm import Logarithm
from mdnbench.wrappers.stabilisation.noise_parts import FULL, NoiseParts, known

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.specs import Denoise, Wants

# The error of medians in place of impulses, on photographs; with BM3D, values of 0.04 to 0.12 cost at most 0.7 dB.
REPAIR_STD = 0.08


class Transform(Protocol):
    """A conversion of noisy intensities to values whose noise has standard deviation one, and its unbiased inverse."""

    def forward(self, noisy: Any) -> Any:
        """Convert observations on the [0, 1] scale."""

    def inverse(self, denoised: Any) -> Any:
        """Convert denoised values to intensities on the [0, 1] scale."""


@dataclass(frozen=True, slots=True)
class Stabilised:
    """A denoiser for white Gaussian noise, with the steps before and after it.

    Noise that cannot be converted, and noise information that is withheld or estimated, reach the method as they are.

    Attributes:
        denoise: The method's own denoiser.
        wants: The information about the noise that the method wants.

    """

    denoise: Denoise
    wants: Wants

    def __call__(self, noisy: torch.Tensor, noise: NoiseInfo) -> torch.Tensor:
        """Denoise float32 (1, C, H, W)."""
        parts = known(noise)
        if parts is None:
            return self.denoise(noisy, reduced_noise_info(noise, self.wants))
        image = to_numpy(noisy).astype(np.float64)
        return to_tensor(self._without_impulses(image, parts, noisy.device)).to(noisy.device)

    def _without_impulses(self, image: Any, parts: NoiseParts, device: torch.device) -> Any:
        if parts.density == 0:
            return self._transformed(image, parts, device)
        hit, filled = impulses.fill_in(image, parts.density)
        rest = replace(parts, density=0.0)
        if rest == NoiseParts():  # the samples that were not hit are clean
            return np.where(hit, self._gaussian(filled, REPAIR_STD, device), image)
        return self._transformed(filled, rest, device)

    def _transformed(self, image: Any, parts: NoiseParts, device: torch.device) -> Any:
        transform = transform_of(parts, clipped=bool(image.min() >= 0 and image.max() <= 1))
        if transform is None:
            return self._gaussian(image, parts.std, device)
        # Methods have thresholds and training that are meant for images in [0, 1].
        low, high = (float(transform.forward(intensity)) for intensity in (0.0, 1.0))
        scaled = (transform.forward(image) - low) / (high - low)
        denoised = self._gaussian(scaled, 1 / (high - low), device)
        return transform.inverse(denoised * (high - low) + low)

    def _gaussian(self, image: Any, std: float, device: torch.device) -> Any:
        """Return the method's output for an image with white Gaussian noise, float64 (H, W) or (H, W, 3)."""
        info = NoiseInfo("gaussian", {"sigma": std * FULL}, std, "known")
        given = to_tensor(image).to(device)
        output = self.denoise(given, reduced_noise_info(info, self.wants))
        return to_numpy(outputs.check_form(output, given, to_tensor(image).to(device))).astype(np.float64)


def transform_of(parts: NoiseParts, *, clipped: bool) -> Transform | None:
    """Return the transform for a noise without impulses; None if it is white Gaussian noise or no noise.

    Args:
        parts: The noise.
        clipped: Whether all observations are in [0, 1]. They may then have been clipped; if they were not, no
            intensity comes close to 1, and the inverses are the same.

    """
    if parts.peak:
        return Anscombe(parts.peak, parts.std, clipped)
    return Logarithm(parts.speckle, clipped) if parts.speckle else None
