"""Draw a picture of a leak so that a person can check it by eye."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mdnbench.data import images
from mdnbench.data.leaks import geometry
from mdnbench.util import atomic

if TYPE_CHECKING:
    from mdnbench.data.leaks.leak import Leak
    from mdnbench.spec.specs import DatasetSpec, Image

_GAP, _LINE = 12, 2  # pixels
_ORANGE = np.array([1.0, 0.5, 0.0], dtype=np.float32)


def picture_of(leak: Leak, train: DatasetSpec, test: DatasetSpec, path: Path) -> Path:
    """Write a PNG with the training image on the left, the test image on the right, and the overlap outlined in both.

    The test image is mirrored, turned and scaled as in the leak, so that the outlined parts can be compared. What
    a tilt leaves empty is black.

    Args:
        leak: The leak.
        train: The training set.
        test: The test set.
        path: The file to write.

    Returns:
        The path of the file.

    """
    there = _colour(train.load(leak.train_id))
    here = _turned(geometry.oriented(_colour(test.load(leak.test_id)), leak.rotation_degrees // 90, leak.flipped), leak)
    placed = geometry.frame(here).moved(leak.top, leak.left)
    shared = placed.within(geometry.frame(there))
    _outline(there, shared)
    _outline(here, shared.moved(-leak.top, -leak.left))
    with atomic.replacing(path) as part:
        images.write_png(part, _side_by_side(there, here))
    return path


def _colour(image: Image) -> Image:
    """Return a copy of the image in colour, (H, W, 3)."""
    return np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image.copy()


def _turned(image: Image, leak: Leak) -> Image:
    """Return the image tilted, scaled and stretched as in the leak, in the box around it."""
    angle, spread = math.radians(-leak.tilt_degrees), math.sqrt(leak.stretch)
    tilt = np.array([(math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))])
    matrix = leak.scale * np.diag([spread, 1 / spread]) @ tilt
    box = geometry.Placement(matrix, np.zeros(2)).box(image.shape)
    placement = geometry.Placement(matrix, np.array([-box.left, -box.top]))
    shape = max(1, round(box.height)), max(1, round(box.width))
    return np.stack([geometry.warped(image[..., channel], placement, shape) for channel in range(3)], axis=-1)


def _outline(image: Image, box: geometry.Rectangle) -> None:
    """Draw the box's edges inside the image."""
    top, left, bottom, right = (max(0, round(edge)) for edge in box)
    inside = image[top:bottom, left:right]
    for edge in (inside[:_LINE], inside[-_LINE:], inside[:, :_LINE], inside[:, -_LINE:]):
        edge[...] = _ORANGE


def _side_by_side(one: Image, other: Image) -> Image:
    height = max(one.shape[0], other.shape[0])
    canvas = np.ones((height, one.shape[1] + _GAP + other.shape[1], 3), dtype=np.float32)
    canvas[: one.shape[0], : one.shape[1]] = one
    canvas[: other.shape[0], one.shape[1] + _GAP :] = other
    return canvas
