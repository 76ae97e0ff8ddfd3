"""Check that an image of a data set has the type, shape and range that it must have."""

from __future__ import annotations

from typing import Any

FIX = "divide 8-bit values by `np.float32(255)`; `mdnbench.data.images.read_image` reads files as they should be."


def fault(image: Any, channels: int) -> tuple[str, str] | None:
    """Return the expected and the actual property if an image is not as its data set declares; otherwise None.

    Args:
        image: The image as the data set's `load` returned it.
        channels: 1 or 3; 0 allows both.

    """
    import numpy as np

    if not isinstance(image, np.ndarray) or image.dtype != np.float32:
        return "float32", f"{getattr(image, 'dtype', type(image).__name__)}"
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)) or not image.size:
        return "(H, W) or (H, W, 3)", f"{image.shape}"
    if channels and channels != (1 if image.ndim == 2 else 3):
        return f"{channels} channels, as declared", f"{image.shape}"
    if not (float(image.min()) >= 0 and float(image.max()) <= 1):
        return "values in [0, 1]", f"{image.min():.3g} to {image.max():.3g}"
    return None
