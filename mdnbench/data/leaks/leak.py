"""Describe a training image that shows part of a test image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leak:
    """A training image that shows at least part of a test image, and the geometry that aligns the two.

    To align them, mirror the test image left to right if `flipped`, turn it counter-clockwise by `rotation_degrees`,
    scale it by `scale`, and put its corner at (top, left) of the training image. A vertical flip is a horizontal one
    and half a turn.

    Attributes:
        train_id: The id of the training image.
        test_id: The id of the test image.
        overlap: The share of the test image's area that is in the training image.
        scale: The factor by which the test image is scaled.
        rotation_degrees: 0, 90, 180 or 270.
        flipped: Whether the test image is mirrored.
        inliers: The number of small patches of the overlap that agree one by one.
        correlation: The correlation of the two images over the overlap after normalisation of brightness and contrast,
            from -1 to 1.
        top: The row of the corner, in pixels of the training image.
        left: The column of the corner, in pixels of the training image.

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


@dataclass(frozen=True, slots=True)
class Leaks:
    """The leaks from a training set into a test set."""

    train: str
    test: str
    leaks: tuple[Leak, ...]
