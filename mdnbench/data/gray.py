"""Data sets turned gray, by name: `kodak24[gray]` is kodak24 in gray."""

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
    """A name without the suffix, and whether it had one."""
    return name.removesuffix(SUFFIX), name.endswith(SUFFIX)


def dataset(spec: DatasetSpec) -> DatasetSpec:
    """The data set with its images in gray, under its own name with the suffix; a gray one stays as it is."""
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
    """(H, W, 3) to (H, W) as rgb2gray does it: whole numbers of 8 or 16 bits stay such. Gray passes as it is."""
    import numpy as np

    if image.ndim == 2:
        return image
    gray = images.to_gray(image)
    for top in (np.float32(255), np.float32(65535)):
        if np.array_equal(np.rint(image * top) / top, image):
            whole: Image = np.rint(gray * top) / top
            return whole
    return gray
