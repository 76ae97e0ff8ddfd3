"""Convert the values of image files to numbers in [0, 1], and refuse images that are too large or out of range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mdnbench.util.limits import MAX_PIXELS

if TYPE_CHECKING:
    import numpy as np

    from mdnbench.spec.specs import Image

BYTE_TOP, WORD_TOP = 255, 65535  # the largest values of 8 and of 16 bits


class RefusalError(Exception):
    """The reason why a file is refused, as a phrase that follows the file's name."""


def check_size(width: int, height: int) -> None:
    """Refuse an image without pixels, and one with more than MAX_PIXELS."""
    if width < 1 or height < 1:
        raise RefusalError(f"has no pixels: it is {width}×{height}")
    if width * height > MAX_PIXELS:
        raise RefusalError(f"claims {width}×{height} pixels, which is {width * height / 1e6:.0f} megapixels")


def whole_numbers(pixels: np.ndarray[Any, Any], top: int) -> Image:
    """Return unsigned whole numbers (H, W) or (H, W, 3), of which `top` is the largest, as float32 in [0, 1]."""
    import numpy as np

    image: Image = pixels.astype(np.float32) / np.float32(top)
    return image


def unit_floats(pixels: np.ndarray[Any, Any]) -> Image:
    """Return floats (H, W) or (H, W, 3) in [0, 1] as float32; refuse other values.

    The range is checked after rounding to float32, so a value one step of float64 above 1 counts as 1.
    """
    import numpy as np

    if not np.isfinite(pixels).all():
        raise RefusalError("has NaN or infinite values")
    low, high = float(pixels.min()), float(pixels.max())
    with np.errstate(over="ignore"):  # values that become infinite here are refused below
        image: Image = pixels.astype(np.float32)
    if image.min() < 0 or image.max() > 1:
        raise RefusalError(f"has values from {low:g} to {high:g}; float pixels must lie in [0, 1]")
    return image
