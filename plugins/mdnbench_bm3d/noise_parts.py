"""Convert the information about a noise to the parameters that BM3D needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdnbench import NoiseInfo

FULL = 255.0


@dataclass(frozen=True, slots=True)
class NoiseParts:
    """A noise as the sum of its parts; a part that is absent is 0. Standard deviations are on the [0, 1] scale.

    Attributes:
        std: The standard deviation of additive noise.
        width: The width in pixels of the box that has filtered the additive noise.
        peak: The number of photons at intensity 1; 0 means no shot noise.
        speckle: The standard deviation of a factor.
        density: The fraction of impulses.

    """

    std: float = 0.0
    width: int = 1
    peak: float = 0.0
    speckle: float = 0.0
    density: float = 0.0

    def average_std(self, noisy: Any) -> float:
        """Return the standard deviation over the whole image, for noise that depends on the intensity.

        It is computed from the parameters and the first two moments of the intensities, which are estimated from the
        moments of the noisy image.
        """
        shot = 1 / self.peak if self.peak else 0.0
        kept = max(1 - self.density, 1e-3)
        first = min(max((float(noisy.mean()) - self.density / 2) / kept, 0.0), 1.0)
        second = (float((noisy**2).mean()) - self.density / 2) / kept - shot * first - self.std**2
        second = min(max(second / (1 + self.speckle**2), first**2), 1.0)
        variance = shot * first + self.std**2 + self.speckle**2 * second
        impulses = self.density / 2 * (2 * second - 2 * first + 1)
        return float(((1 - self.density) * variance + impulses) ** 0.5)


def known(noise: NoiseInfo) -> NoiseParts | None:
    """Return the noise that the information describes; None if it is withheld or of an unknown kind."""
    params = noise.params
    std = params.get("sigma", 0.0) / FULL
    match noise.family:
        case "gaussian":
            return NoiseParts(std)
        case "correlated":
            return NoiseParts(std, width=int(params.get("width", 1)))
        case "poisson":
            return NoiseParts(peak=params["peak"])
        case "salt-pepper":
            return NoiseParts(density=params["density"])
        case "mixed":
            return NoiseParts(std, peak=params["peak"], density=params["density"])
        case "speckle":
            return NoiseParts(speckle=std)
        case _:
            return None
