"""The metrics of piq that need no weights, computed in double precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from mdnbench import MetricSpec
from mdnbench.spec.specs import Image, Score
from mdnbench_piq import package

SIXTEEN = 16  # pixels; in smaller images, most gradients are at the borders


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric of piq.

    Attributes:
        name: The name of the metric.
        function: The name of piq's function.
        summary: The summary.
        direction: Whether higher or lower values are better.
        min_size: The shortest side for which it can be computed.
        citation: The paper.
        tolerance: The largest difference that a check accepts.
        symmetric: Whether the two images may be exchanged.
        colours: Whether gray is repeated to three channels, because the metric is defined only for colour.
        chromatic: Whether piq's function has to know if the image has colour.
    """

    name: str
    function: str
    summary: str
    direction: Literal["higher", "lower"]
    min_size: int
    citation: str
    tolerance: float = 0.002
    symmetric: bool = True
    colours: bool = False
    chromatic: bool = False


MEASURES = (
    Measure(
        "ms-ssim", "multi_scale_ssim", "SSIM over five scales", "higher", 161,
        "Wang, Simoncelli, Bovik: Multi-scale structural similarity. Asilomar 2003",
    ),
    Measure(
        "iw-ssim", "information_weighted_ssim", "MS-SSIM weighed by local information, luminance", "higher", 161,
        "Wang, Li: Information content weighting for perceptual image quality assessment. IEEE TIP 20(5), 2011",
        symmetric=False,
    ),
    Measure(
        "vif", "vif_p", "Visual information fidelity in the pixel domain, luminance", "higher", 41,
        "Sheikh, Bovik: Image information and visual quality. IEEE TIP 15(2), 2006", tolerance=0.005, symmetric=False,
    ),
    Measure(
        "gmsd", "gmsd", "Deviation of gradient magnitude similarity, luminance", "lower", SIXTEEN,
        "Xue, Zhang, Mou, Bovik: Gradient magnitude similarity deviation. IEEE TIP 23(2), 2014",
    ),
    Measure(
        "fsim", "fsim", "Feature similarity by phase congruency; FSIMc in colour", "higher", SIXTEEN,
        "Zhang, Zhang, Mou, Zhang: FSIM: a feature similarity index. IEEE TIP 20(8), 2011", chromatic=True,
    ),
    Measure(
        "haarpsi", "haarpsi", "Haar wavelet-based perceptual similarity", "higher", SIXTEEN,
        "Reisenhofer, Bosse, Kutyniok, Wiegand: A Haar wavelet-based perceptual similarity index. SPIC 61, 2018",
        tolerance=0.005,
    ),
    Measure(
        "vsi", "vsi", "Visual saliency-induced similarity; gray is repeated to RGB", "higher", SIXTEEN,
        "Zhang, Shen, Li: VSI: a visual saliency-induced index. IEEE TIP 23(10), 2014", colours=True,
    ),
)  # fmt: skip


def spec(measure: Measure) -> MetricSpec:
    """Return the metric's specification."""
    return MetricSpec(
        name=measure.name,
        revision="1",
        summary=measure.summary,
        direction=measure.direction,
        build=lambda device: score(measure, device),
        digits=4,
        tolerance=measure.tolerance,
        min_size=measure.min_size,
        packages=package.PACKAGES,
        prepare=lambda download: package.missing(),
        citation=measure.citation,
        symmetric=measure.symmetric,
        by_name=True,
    )


def score(measure: Measure, device: str) -> Score:
    """Return the metric as a function of the denoised and the clean image."""
    import torch

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
    from mdnbench.evaluation.adapters import to_tensor

    planes = to_tensor(image).to(device).double()
    return planes.expand(1, 3, -1, -1) if colours else planes
