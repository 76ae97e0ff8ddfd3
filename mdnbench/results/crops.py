"""Cuts: the square of an image where the methods have the hardest time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mdnbench.results.image_source import CLEAN, NOISY

if TYPE_CHECKING:
    from mdnbench.results.image_source import Levels

CropBox: TypeAlias = tuple[int, int, int, int]  # left, top, width, height


def crop(levels: Levels, box: CropBox | None) -> Levels:
    """The part of a picture inside a box; all of it without one."""
    if box is None:
        return levels
    left, top, width, height = box
    return levels[top : top + height, left : left + width]


def hardest(clean: Levels | None, images: Mapping[str, Levels], side: int) -> CropBox:
    """The square where the outputs' squared error, summed over methods, is greatest; the middle where none is known."""
    height, width = next(iter(images.values())).shape[:2]
    tall, wide = min(side, height), min(side, width)
    outputs = [levels for source, levels in images.items() if source not in (CLEAN, NOISY)]
    if clean is None or not outputs:
        return ((width - wide) // 2, (height - tall) // 2, wide, tall)
    sums = _window_sums(sum(_squared_error(each, clean) for each in outputs), tall, wide)
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return (int(left), int(top), wide, tall)


def _squared_error(one: Levels, other: Levels) -> Any:
    difference = one.astype("float64") - other
    squared = difference * difference
    return squared if squared.ndim == 2 else squared.sum(axis=2)


def _window_sums(values: Any, tall: int, wide: int) -> np.ndarray[Any, Any]:
    """The sum over every window of (tall, wide), by differences of running sums."""
    running = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums: np.ndarray[Any, Any] = (
        running[tall:, wide:] - running[:-tall, wide:] - running[tall:, :-wide] + running[:-tall, :-wide]
    )
    return sums
