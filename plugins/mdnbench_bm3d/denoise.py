"""Apply BM3D according to the information about the noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mdnbench import Unavailable, numpy_denoiser
from mdnbench.evaluation.estimation import known_or_estimated_std
from mdnbench_bm3d import package
from mdnbench_bm3d.profiles import PROFILES
from mdnbench_bm3d.spectrum import box_spectrum

if TYPE_CHECKING:
    from mdnbench import NoiseInfo
    from mdnbench.spec.names import Value
    from mdnbench.spec.specs import Denoise

SMALLEST = 8  # pixels; the engine takes no smaller image


@dataclass(frozen=True, slots=True)
class Own:
    """Our own engine, as a function of an image (H, W) or (H, W, 3) of any size and a noise level."""

    profile: str

    def __call__(self, image: Any, std: float, width: int = 1) -> Any:
        """Denoise an image; `width` is that of the box in pixels that has filtered the noise, 1 for white noise."""
        from mdnbench_bm3d.engine import bm3d

        height, breadth = image.shape[:2]
        lacking = [(0, max(0, SMALLEST - side)) for side in (height, breadth)] + [(0, 0)] * (image.ndim - 2)
        padded = np.pad(image, lacking, "symmetric")
        spectrum = None if width == 1 or std <= 0 else box_spectrum(padded.shape[:2], std, width)
        return bm3d(padded, max(std, 0.0), profile=self.profile, spectrum=spectrum)[:height, :breadth]


def build(options: Mapping[str, Value], device: str, weights: object) -> Denoise:
    """Return the denoiser of the spec, compiled.

    Raises:
        Unavailable: The engine does not have the profile, or cannot be imported.

    """
    bm3d = _engine(str(options["engine"]), str(options["profile"]))

    def denoise(noisy: Any, noise: NoiseInfo) -> Any:
        """Denoise float32 (H, W) or (H, W, 3); noise other than correlated noise is treated as white."""
        width = int(noise.params["width"]) if noise.family == "correlated" else 1
        return bm3d(noisy, known_or_estimated_std(noisy, noise), width)

    return numpy_denoiser(denoise)


def _engine(engine: str, profile: str) -> Any:
    profiles = PROFILES if engine == "own" else package.PROFILES
    if profile not in profiles:
        raise Unavailable(f"engine={engine} has no profile {profile}; it has {', '.join(profiles)}")
    if engine == "package":
        return package.load(profile)
    try:
        from mdnbench_bm3d.compilation import prepare
    except ImportError as error:
        raise Unavailable(f"numba cannot be imported ({error}); install it with: pip install numba") from error
    try:
        prepare(profile)
    except OSError as error:
        raise Unavailable(
            f"compiled code cannot be kept ({error}); point NUMBA_CACHE_DIR at a folder with room that can be written"
        ) from error
    return Own(profile)
