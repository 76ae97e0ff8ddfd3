"""Describe a training image that shows part of a test image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leak:
    """A training image that shows at least part of a test image, and the geometry that aligns the two.

    To align them, mirror the test image left to right if `flipped`, turn it counter-clockwise by `rotation_degrees` and
    `tilt_degrees`, scale it by `scale` and `stretch`, and put the corner of the box around it at (top, left) of the
    training image. A vertical flip is a horizontal one and half a turn.

    Attributes:
        train_id: The id of the training image.
        test_id: The id of the test image.
        overlap: The share of the test image's area that is in the training image.
        scale: The factor by which the test image is scaled: the square root of the factor of its area.
        rotation_degrees: The nearest quarter turn: 0, 90, 180 or 270.
        flipped: Whether the test image is mirrored.
        inliers: The number of small patches of the overlap that agree one by one.
        correlation: The correlation of the two images over the overlap after normalisation of brightness and contrast,
            from -1 to 1.
        top: The row of the corner, in pixels of the training image.
        left: The column of the corner, in pixels of the training image.
        tilt_degrees: What is left of the rotation after the quarter turn, from -45 to 45.
        stretch: How many times more the turned test image is scaled horizontally than vertically.

    """

    train_id: str
    test_id: str
    overlap: float
    scale: float
    rotation_degrees: int
    flipped: bool
    inliers: int
    correlation: float
    top: float
    left: float
    tilt_degrees: float = 0.0
    stretch: float = 1.0


@dataclass(frozen=True, slots=True)
class Leaks:
    """The leaks from a training set into a test set."""

    train: str
    test: str
    leaks: tuple[Leak, ...]
