"""Twelve gray images cut from photographs that are installed with scikit-image, so they need no download."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from mdnbench.data import gray, images
from mdnbench.errors import BadImage, DataMissing
from mdnbench.spec.specs import Image
from mdnbench.util import digests


@dataclass(frozen=True, slots=True)
class Crop:
    """A square of `size` pixels cut from one of scikit-image's files, its licence, and the digest of the result."""

    id: str
    file: str
    left: int
    top: int
    size: int
    licence: str
    digest: str


def load(crop: Crop) -> Image:
    """Return the image (H, W) after a check of its digest.

    Raises:
        BadImage: The installed scikit-image has other pixels.
        DataMissing: scikit-image is not installed.

    """
    image = pixels(crop)
    if digests.of_pixels(image) != crop.digest:
        raise BadImage(
            f"image {crop.id} of sk12, made from scikit-image's {crop.file}, has other pixels here than it was defined "
            "with; this scikit-image version ships another picture. Install the version that constraints.txt names."
        )
    return image


def pixels(crop: Crop) -> Image:
    """Return the crop in gray, rounded to 8 bits like an image file."""
    photograph = images.read_image(_folder() / crop.file)
    cut = photograph[crop.top : crop.top + crop.size, crop.left : crop.left + crop.size]
    return gray.rounded(cut)


def _folder() -> Path:
    """Return scikit-image's data folder without importing scikit-image."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise DataMissing("sk12 is made from scikit-image's photographs, and scikit-image is not installed.")
    return Path(spec.submodule_search_locations[0]) / "data"
