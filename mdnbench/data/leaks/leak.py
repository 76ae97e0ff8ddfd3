"""What is reported about a training image that shows part of a test image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leak:
    """A training image that shows at least part of a test image, and how one lies upon the other.

    Mirror the test image left to right if `flipped`, turn it counter-clockwise by `rotation_degrees` (0, 90, 180 or
    270), scale it by `scale`, and put its corner at (top, left) in pixels of the training image: there the two agree.
    A vertical flip is a horizontal one and half a turn. `overlap` is the share of the test image's area that is in the
    training image, `correlation` that of the two over the overlap, from -1 to 1, brightness and contrast evened out,
    and `inliers` counts the small patches of the overlap that agree one by one.
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
