"""What is known of a noise, in the terms that BM3D needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdnbench import NoiseInfo

FULL = 255.0


@dataclass(frozen=True, slots=True)
class Noise:
    """A noise as the sum of its parts, each 0 where it is absent; standard deviations are on the [0, 1] scale.

    `std` is additive noise filtered by a box of `width` pixels, `peak` the photons at intensity 1 (0: no shot noise),
    `speckle` the standard deviation of a factor, `density` the fraction of impulses.
    """

    std: float = 0.0
    width: int = 1
    peak: float = 0.0
    speckle: float = 0.0
    density: float = 0.0

    def average_std(self, noisy: Any) -> float:
        """The standard deviation over the whole image, where it depends on the intensity.

        It follows from the parameters and the first two moments of the intensities, and these from the noisy image's.
        """
        shot = 1 / self.peak if self.peak else 0.0
        kept = max(1 - self.density, 1e-3)
        first = min(max((float(noisy.mean()) - self.density / 2) / kept, 0.0), 1.0)
        second = (float((noisy**2).mean()) - self.density / 2) / kept - shot * first - self.std**2
        second = min(max(second / (1 + self.speckle**2), first**2), 1.0)
        variance = shot * first + self.std**2 + self.speckle**2 * second
        impulses = self.density / 2 * (2 * second - 2 * first + 1)
        return float(((1 - self.density) * variance + impulses) ** 0.5)


def known(noise: NoiseInfo) -> Noise | None:
    """The noise that the information speaks of; None where its family is withheld or not one of these."""
    params = noise.params
    std = params.get("sigma", 0.0) / FULL
    match noise.family:
        case "gaussian":
            return Noise(std)
        case "correlated":
            return Noise(std, width=int(params.get("width", 1)))
        case "poisson":
            return Noise(peak=params["peak"])
        case "salt-pepper":
            return Noise(density=params["density"])
        case "mixed":
            return Noise(std, peak=params["peak"], density=params["density"])
        case "speckle":
            return Noise(speckle=std)
        case _:
            return None
