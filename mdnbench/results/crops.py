"""Crops: rectangular parts of an image, and the square of an image in which the methods make the largest errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mdnbench.results.image_source import CLEAN, NOISY

if TYPE_CHECKING:
    from mdnbench.results.image_source import Levels

CropBox: TypeAlias = tuple[int, int, int, int]  # left, top, width, height


def crop(levels: Levels, box: CropBox | None) -> Levels:
    """Return the part of an image inside a box, or the whole image without a box."""
    if box is None:
        return levels
    left, top, width, height = box
    return levels[top : top + height, left : left + width]


def hardest(clean: Levels | None, images: Mapping[str, Levels], side: int) -> CropBox:
    """Return the square of an image in which the methods make the largest errors.

    Args:
        clean: The clean image, or None if it is not available.
        images: The images by source: `clean`, `noisy`, and the outputs by method.
        side: The square's side in pixels. A smaller image limits width and height.

    Returns:
        The square in which the squared error, summed over all outputs, is largest. Without a clean image or outputs it
        is the square in the middle.

    """
    height, width = next(iter(images.values())).shape[:2]
    tall, wide = min(side, height), min(side, width)
    outputs = [levels for source, levels in images.items() if source not in (CLEAN, NOISY)]
    if clean is None or not outputs:
        return ((width - wide) // 2, (height - tall) // 2, wide, tall)
    sums = _window_sums(sum(_squared_error(each, clean) for each in outputs), tall, wide)
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return (int(left), int(top), wide, tall)


def _squared_error(one: Levels, other: Levels) -> Any:
    """Return the squared difference of two images at each pixel, summed over colours."""
    difference = one.astype("float64") - other
    squared = difference * difference
    return squared if squared.ndim == 2 else squared.sum(axis=2)


def _window_sums(values: Any, tall: int, wide: int) -> np.ndarray[Any, Any]:
    """Return the sums over all windows of (tall, wide) pixels, as differences of cumulative sums."""
    running = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums: np.ndarray[Any, Any] = (
        running[tall:, wide:] - running[:-tall, wide:] - running[tall:, :-wide] + running[:-tall, :-wide]
    )
    return sums
