"""Process colour images as three gray ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

PlaneFilter = Callable[[Any], Any]


def by_channel(image: Any, denoise: PlaneFilter) -> Any:
    """Apply a function over (H, W) to an image (H, W), or to each channel of (H, W, 3)."""
    if image.ndim == 2:
        return denoise(image)
    return np.stack([denoise(np.ascontiguousarray(image[..., c])) for c in range(image.shape[-1])], axis=-1)


def by_opponent(image: Any, denoise: PlaneFilter) -> Any:
    """Apply a function over (H, W) to an image (H, W), or to luminance and two colour differences of (H, W, 3).

    The transform is a rotation (BM3D's colour transform with rows of length one). White noise of equal strength in R, G
    and B stays white with the same strength, while detail is concentrated in the luminance.
    """
    if image.ndim == 2:
        return denoise(image)
    rotation = _rotation()
    return by_channel(image @ rotation.T, denoise) @ rotation


def _rotation() -> Any:

    rows = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
