"""Convert data sets to gray by name: `kodak24[gray]` is kodak24 in gray."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mdnbench.data import images
from mdnbench.spec.specs import DatasetSpec

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

SUFFIX = "[gray]"
RULE = "ITU-R BT.601 luma, rounded to the bits of the file, as MATLAB's rgb2gray"


def split(name: str) -> tuple[str, bool]:
    """Return a name without the suffix `[gray]`, and whether it had the suffix."""
    return name.removesuffix(SUFFIX), name.endswith(SUFFIX)


def dataset(spec: DatasetSpec) -> DatasetSpec:
    """Return the data set with its images converted to gray and the suffix in its name; a gray one is unchanged."""
    if spec.channels == 1:
        return spec
    return dataclasses.replace(
        spec,
        name=spec.name + SUFFIX,
        summary=f"{spec.summary}; in gray ({RULE})",
        channels=1,
        load=lambda identity: rounded(spec.load(identity)),
    )


def rounded(image: Image) -> Image:
    """Convert (H, W, 3) to (H, W) as MATLAB's rgb2gray does; return gray unchanged.

    If the values are whole numbers of 8 or 16 bits, the result is rounded to such numbers too.
    """
    import numpy as np

    if image.ndim == 2:
        return image
    gray = images.to_gray(image)
    for top in (np.float32(255), np.float32(65535)):
        if np.array_equal(np.rint(image * top) / top, image):
            whole: Image = np.rint(gray * top) / top
            return whole
    return gray
