"""Apply BM3D according to the information about the noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mdnbench import numpy_denoiser
from mdnbench.evaluation.estimation import known_or_estimated_std
from mdnbench_bm3d.algorithm import load

if TYPE_CHECKING:
    from mdnbench import NoiseInfo
    from mdnbench.spec.names import Value
    from mdnbench.spec.specs import Denoise


def build(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """Return the denoiser of the spec; raise Unavailable if the bm3d package is missing."""
    bm3d = load(str(options["profile"]))

    def denoise(noisy: Any, noise: NoiseInfo) -> Any:
        """Denoise float32 (H, W) or (H, W, 3); noise other than correlated noise is treated as white."""
        width = int(noise.params["width"]) if noise.family == "correlated" else 1
        return bm3d(noisy, known_or_estimated_std(noisy, noise), width)

    return numpy_denoiser(denoise)
