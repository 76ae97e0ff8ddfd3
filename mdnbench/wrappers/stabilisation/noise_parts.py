"""Convert the information about a noise to the parts that stabilisation handles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdnbench.spec.records import NoiseInfo

FULL = 255.0


@dataclass(frozen=True, slots=True)
class NoiseParts:
    """A noise as the sum of its parts; a part that is absent is 0. Standard deviations are on the [0, 1] scale.

    Attributes:
        std: The standard deviation of additive noise.
        peak: The number of photons at intensity 1; 0 means no shot noise.
        speckle: The standard deviation of a factor.
        density: The fraction of impulses.

    """

    std: float = 0.0
    peak: float = 0.0
    speckle: float = 0.0
    density: float = 0.0


def known(noise: NoiseInfo) -> NoiseParts | None:
    """Return the parts of a noise of `variants.CONVERTED`; None if it is another one, or is withheld."""
    params = noise.params
    std = params.get("sigma", 0.0) / FULL
    match noise.family:
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
