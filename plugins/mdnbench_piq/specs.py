"""The specifications of these metrics; `measures.py` and `dists.py` compute them, and import torch."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from mdnbench import DataFile, MetricSpec, data, deferred
from mdnbench.errors import MdnbenchError
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
        build=functools.partial(deferred("mdnbench_piq.measures:score"), measure),
        digits=4,
        tolerance=measure.tolerance,
        min_size=measure.min_size,
        packages=package.PACKAGES,
        prepare=lambda download: package.missing(),
        citation=measure.citation,
        symmetric=measure.symmetric,
        by_name=True,
    )


# ---- DISTS -----------------------------------------------------------------------------------------------------------

FOLDER = "weights/dists"
AUTHORS = "https://raw.githubusercontent.com/dingkeyan93/DISTS/1267d8cb626c98706db3697422701c56a85ebf2e/"
VGG = DataFile(
    "vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    553433881,
    ("https://download.pytorch.org/models/vgg16-397923af.pth",),
)
LAYERS = DataFile(
    "weights.pt",
    "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
    urls=(AUTHORS + "DISTS_pytorch/weights.pt",),
)


def _prepare(download: bool) -> str | None:
    if reason := package.missing():
        return reason
    try:
        for file in (LAYERS, VGG):
            data.locate(FOLDER, file, download)
    except MdnbenchError as error:
        return str(error)
    return None


DISTS = MetricSpec(
    name="dists",
    revision="1",
    summary="Structure and texture similarity in the layers of VGG-16; gray is repeated to RGB",
    direction="lower",
    build=deferred("mdnbench_piq.dists:build"),
    digits=4,
    tolerance=0.005,
    min_size=32,  # four poolings leave two pixels
    packages=(*package.PACKAGES, "torchvision"),
    prepare=_prepare,
    citation="Ding, Ma, Wang, Simoncelli: Unifying structure and texture similarity. IEEE TPAMI 44(5), 2022",
    symmetric=True,
    by_name=True,
)
