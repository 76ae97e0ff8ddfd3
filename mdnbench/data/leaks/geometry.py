"""Describe the positions of images: rectangles, and where one image is placed on another.

Positions are in pixels: the first pixel of an image extends from 0 to 1, and its centre is at 0.5.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from PIL import Image as Pictures

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


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


@dataclass(frozen=True, slots=True)
class Placement:
    """A place of one image on another: its point (x, y) is put at `matrix` @ (x, y) + `shift` of the other."""

    matrix: Array  # (2, 2)
    shift: Array  # (2,)

    @property
    def flipped(self) -> bool:
        """Return whether the image is mirrored."""
        return bool(np.linalg.det(self.matrix) < 0)

    @property
    def scale(self) -> float:
        """Return the factor by which the image is scaled, the square root of that of its area."""
        return math.sqrt(abs(float(np.linalg.det(self.matrix))))

    @property
    def degrees(self) -> float:
        """Return by how much the image is turned counter-clockwise, after it is mirrored left to right if `flipped`."""
        return -math.degrees(cmath.phase(self._turn()))

    @property
    def stretch(self) -> float:
        """Return how many times more the image grows horizontally than vertically, after it is turned."""
        turn = self._turn() / abs(self._turn())
        growth = self._upright() @ np.array([(turn.real, turn.imag), (-turn.imag, turn.real)])
        return float(growth[0, 0] / growth[1, 1])

    def _upright(self) -> Array:
        """Return the matrix for the image mirrored left to right if `flipped`."""
        return self.matrix * ((-1, 1) if self.flipped else (1, 1))

    def _turn(self) -> complex:
        """Return the turn and scale closest to the matrix, as a factor of x + iy."""
        (a, b), (c, d) = self._upright().tolist()
        return complex(a + d, c - b) / 2

    def inverse(self) -> Placement:
        """Return the place of the other image on this one."""
        back = np.linalg.inv(self.matrix)
        return Placement(back, -back @ self.shift)

    def after(self, first: Placement) -> Placement:
        """Return where an image is put that `first` puts on this one."""
        return Placement(self.matrix @ first.matrix, self.matrix @ first.shift + self.shift)

    def box(self, shape: tuple[int, ...]) -> Rectangle:
        """Return the box around the placed image, given its shape."""
        height, width = shape[:2]
        corners = np.array([(0, 0), (width, 0), (0, height), (width, height)]) @ self.matrix.T + self.shift
        (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return Rectangle(top, left, bottom, right)


def resizing(scale: float, top: float = 0.0, left: float = 0.0) -> Placement:
    """Return the place of an image on its own copy that is cut at (top, left) and then resized."""
    return Placement(np.eye(2) * scale, np.array([-left, -top]) * scale)


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


def warped(image: Image, placement: Placement, shape: tuple[int, int]) -> Image:
    """Return the placed image on a canvas of this shape, (H, W); 0 where it has no pixels."""
    back = placement.inverse()
    rows = np.column_stack([back.matrix, back.shift]).ravel().tolist()
    size, bicubic = (shape[1], shape[0]), Pictures.Resampling.BICUBIC
    return np.asarray(Pictures.fromarray(image).transform(size, Pictures.Transform.AFFINE, rows, bicubic))


def covered(placement: Placement, placed: tuple[int, int], shape: tuple[int, int]) -> Array:
    """Return which pixels of a canvas of this shape a placed image covers.

    Args:
        placement: Where the image is placed on the canvas.
        placed: The shape of the image.
        shape: The shape of the canvas.

    """
    back = placement.inverse()
    x, y = np.arange(shape[1]) + 0.5, np.arange(shape[0])[:, None] + 0.5
    across = back.matrix[0, 0] * x + back.matrix[0, 1] * y + back.shift[0]
    down = back.matrix[1, 0] * x + back.matrix[1, 1] * y + back.shift[1]
    return np.asarray((across > 0) & (across < placed[1]) & (down > 0) & (down < placed[0]))


def side_of(image: Image) -> float:
    """Return the side of the square that has the image's area."""
    return math.sqrt(image.shape[0] * image.shape[1])
