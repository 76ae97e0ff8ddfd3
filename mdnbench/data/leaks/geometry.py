"""Describe the positions of images: rectangles, quarter turns, and parts of images at exact scales."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image as Pictures

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image


class Rectangle(NamedTuple):
    """A rectangle in pixels from (top, left) to (bottom, right); fractions are allowed."""

    top: float
    left: float
    bottom: float
    right: float

    @property
    def height(self) -> float:
        """Return the height in pixels; 0 if the box is empty."""
        return max(0.0, self.bottom - self.top)

    @property
    def width(self) -> float:
        """Return the width in pixels; 0 if the box is empty."""
        return max(0.0, self.right - self.left)

    @property
    def area(self) -> float:
        """Return the area in square pixels."""
        return self.height * self.width

    def grown(self, margin: float) -> Rectangle:
        """Return the box with a margin on all sides."""
        return Rectangle(self.top - margin, self.left - margin, self.bottom + margin, self.right + margin)

    def moved(self, down: float, right: float) -> Rectangle:
        """Return the box moved by these distances."""
        return Rectangle(self.top + down, self.left + right, self.bottom + down, self.right + right)

    def within(self, other: Rectangle) -> Rectangle:
        """Return the part of the box that is inside the other one."""
        return Rectangle(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )


def frame(image: Image) -> Rectangle:
    """Return the box of a whole image."""
    return Rectangle(0.0, 0.0, float(image.shape[0]), float(image.shape[1]))


def oriented(image: Image, quarter_turns: int, flipped: bool) -> Image:
    """Return a view of the image, mirrored left to right if `flipped`, then turned counter-clockwise."""
    return np.rot90(image[:, ::-1] if flipped else image, quarter_turns)


def resampled(image: Image, scale: float, box: Rectangle | None = None) -> Image:
    """Return a box of the image at exactly this scale; fractions of a pixel at the far edges are dropped."""
    box = box or frame(image)
    top, left = math.floor(box.top), math.floor(box.left)
    cut = image[top : math.ceil(box.bottom), left : math.ceil(box.right)]
    height = max(1, int((box.bottom - box.top) * scale + 1e-6))
    width = max(1, int((box.right - box.left) * scale + 1e-6))
    y, x = box.top - top, box.left - left
    source = (x, y, min(x + width / scale, cut.shape[1]), min(y + height / scale, cut.shape[0]))
    picture = Pictures.fromarray(np.ascontiguousarray(cut))
    return np.asarray(picture.resize((width, height), Pictures.Resampling.BICUBIC, box=source))


def side_of(image: Image) -> float:
    """Return the side of the square that has the image's area."""
    return math.sqrt(image.shape[0] * image.shape[1])
