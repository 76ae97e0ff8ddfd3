"""The metrics of piq that need no weights, computed in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mdnbench.evaluation.adapters import to_tensor
from mdnbench.spec.specs import Image, Score
from mdnbench_piq import package
from mdnbench_piq.specs import Measure


def score(measure: Measure, device: str) -> Score:
    """Return the metric as a function of the denoised and the clean image."""
    function: Callable[..., Any] = getattr(package.load(), measure.function)

    def scored(denoised: Image, clean: Image) -> float:
        pair = [tensor(image, device, measure.colours) for image in (denoised, clean)]
        more = {"chromatic": clean.ndim == 3} if measure.chromatic else {}
        with torch.inference_mode():
            return float(function(*pair, data_range=1.0, **more))

    return scored


def tensor(image: Image, device: str, colours: bool) -> Any:
    """Convert float32 (H, W) or (H, W, 3) to float64 (1, C, H, W).

    In single precision, equal images could score below 1.
    """
    planes = to_tensor(image).to(device).double()
    return planes.expand(1, 3, -1, -1) if colours else planes
