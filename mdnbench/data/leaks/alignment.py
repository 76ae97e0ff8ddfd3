"""Refine the placement of a test image on a training image until the detail of both agrees as closely as it can."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_erosion

from mdnbench.data.leaks import correlation, geometry
from mdnbench.data.leaks.geometry import Placement

if TYPE_CHECKING:
    from mdnbench.data.leaks.geometry import Array
    from mdnbench.spec.specs import Image

# The resolutions, as the side in pixels of a square with the placed test image's area, and the number of steps at each.
# A step corrects errors of about two pixels, so the first resolution is coarse.
_STEPS = ((64, 8), (128, 4), (192, 4))
_FINEST = 192
_LIKELY = 0.35  # the least correlation of the features at every resolution; unrelated images have 0.1
_NARROWEST = 10  # the least side of an overlap, in pixels of the working resolution
_EDGE = 3  # pixels along the edges of an overlap that do not guide the steps
_LEAST_SCALE, _MOST_STRETCH = 1 / 16, 1.3  # what is smaller or more stretched was placed by chance
_STEADYING = 1e-5  # per pixel: keeps a step small in directions in which the images have no detail


@dataclass(frozen=True, slots=True)
class Overlap:
    """The part of a training image on which a test image is placed, at a working resolution.

    Attributes:
        train: The part of the training image, (H, W).
        test: The whole test image at this resolution, (h, w).
        placement: Where `test` is on `train`.
        to_whole: The map from `train` to the whole training image.
        reduction: The scale of `test` relative to the whole test image.
        test_shape: The shape of the whole test image.
        area: The area of `train` in pixels of the whole training image.

    """

    train: Image
    test: Image
    placement: Placement
    to_whole: Placement
    reduction: float
    test_shape: tuple[int, int]
    area: float

    def placed(self, image: Image) -> Image:
        """Return an image of the shape of `test` as it is placed on `train`, (H, W)."""
        return geometry.warped(image, self.placement, self.train.shape)

    def shared(self) -> Array:
        """Return at which pixels of `train` there is a pixel of `test`, (H, W)."""
        return geometry.covered(self.placement, self.test.shape, self.train.shape)

    def share(self) -> float:
        """Return the share of the test image's area that is on the training image."""
        placed = self.test_shape[0] * self.test_shape[1] * self.whole_placement().scale ** 2
        return min(1.0, float(self.shared().mean()) * self.area / placed)

    def whole_placement(self) -> Placement:
        """Return where the whole test image is on the whole training image."""
        return self.to_whole.after(self.placement).after(geometry.resizing(self.reduction))


def aligned(train: Image, test: Image, guess: Placement) -> Overlap | None:
    """Return the overlap at the closest placement near a guess, at the finest resolution.

    Args:
        train: The training image, (H, W).
        test: The test image, (h, w).
        guess: Where the test image may be on the training image, up to a turn and a stretch of some percent.

    Returns:
        None if the images hardly overlap, or are not alike there.

    """
    for side, steps in _STEPS:
        overlap = _overlap(train, test, guess, side)
        closest = overlap and _closest(overlap, steps)
        if closest is None:
            return None
        guess = closest.whole_placement()
    return _overlap(train, test, guess, _FINEST)


def _overlap(train: Image, test: Image, placement: Placement, side: int) -> Overlap | None:
    """Return the overlap at a resolution that enlarges neither image; None if it is too small or too distorted."""
    scale = placement.scale
    if not (_LEAST_SCALE < scale < 1 / _LEAST_SCALE and 1 / _MOST_STRETCH < placement.stretch < _MOST_STRETCH):
        return None
    zoom = min(1.0, 1 / scale, side / geometry.side_of(test) / scale)
    seen = placement.box(test.shape).within(geometry.frame(train))
    if min(seen.height, seen.width) * zoom < _NARROWEST:
        return None
    to_part = geometry.resizing(zoom, seen.top, seen.left)
    reduction = zoom * scale
    return Overlap(
        train=geometry.resampled(train, zoom, seen),
        test=geometry.resampled(test, reduction),
        placement=to_part.after(placement).after(geometry.resizing(1 / reduction)),
        to_whole=to_part.inverse(),
        reduction=reduction,
        test_shape=test.shape,
        area=seen.height * seen.width,
    )


def _closest(overlap: Overlap, steps: int) -> Overlap | None:
    """Return the overlap at the best of some successive placements, each a step closer; None if none is likely."""
    there, here = correlation.features(overlap.train), correlation.features(overlap.test)
    best, agreement = None, _LIKELY
    for _ in range(steps + 1):
        shared = overlap.shared()
        if shared.sum() < _NARROWEST**2:
            break
        placed = overlap.placed(here) * shared
        value = correlation.of_aligned(there * shared, placed)
        if value > agreement:
            best, agreement = overlap, value
        step = _step(there, placed, shared)
        if abs(np.linalg.det(step.matrix) - 1) > 0.5:  # there is nothing to follow
            break
        overlap = replace(overlap, placement=step.inverse().after(overlap.placement))
    return best


def _step(there: Image, placed: Image, shared: Array) -> Placement:
    """Return the small affine map after which `placed`, read at the mapped positions, comes closest to `there`.

    This is one step of Gauss and Newton for the squared difference over the shared pixels.
    """
    down, right = (np.gradient(placed, axis=axis) for axis in (0, 1))
    # The features near an edge are computed from other surroundings in the two images.
    inner = binary_erosion(shared, iterations=_EDGE)
    y, x = np.nonzero(inner if inner.sum() >= _NARROWEST**2 else shared)
    down, right, missing = down[y, x], right[y, x], (there - placed)[y, x]
    # Positions from -1 to 1, so that all six unknowns are about as large.
    centre, unit = np.array([shared.shape[1], shared.shape[0]]) / 2, max(shared.shape) / 2
    u, v = (x + 0.5 - centre[0]) / unit, (y + 0.5 - centre[1]) / unit
    slopes = np.stack([right * u, right * v, right, down * u, down * v, down])
    steady = np.eye(6) * (_STEADYING * len(missing))
    a, b, c, d, e, f = np.linalg.solve(slopes @ slopes.T + steady, slopes @ missing)
    change = np.array([(a, b), (d, e)]) / unit
    return Placement(np.eye(2) + change, np.array([c, f]) - change @ centre)
