"""Describe an image by its key points, so that two images can be compared without trying every placement.

Key points are the extrema of differences of Gaussians, as in SIFT; their descriptors are sums of gradients, as in SURF.
scikit-image's ORB took 0.3 s or more for an image of BSD400, and ranks key points by their contrast. These here took
0.09 s, and every part of the image has its share, however smooth.

Positions and directions are complex numbers x + iy: a product turns and scales them, a conjugate mirrors them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from mdnbench.data.leaks import geometry

if TYPE_CHECKING:
    from mdnbench.data.leaks.geometry import Array
    from mdnbench.spec.specs import Image

# A larger image is halved first: its key points would need much memory, and half of its size shows the same.
_MOST_PIXELS = 2**22
# Each octave has half the size of the one before. Widths of blur are in pixels of the octave.
_SCALES, _FIRST_WIDTH, _CAMERA_WIDTH, _SMALLEST_SIDE = 3, 1.6, 0.5, 16
# An octave is divided into square cells, and the strongest extrema of each cell are taken, so that a smooth part has as
# many as a busy one. The first octave has most of the cells, and most of the noise.
_CELL, _IN_FIRST_OCTAVE, _IN_OTHERS = 32, 4, 12
_LEAST_STRENGTH = 0.0015  # a third of a grey level of 255
_MOST_ELONGATED = 12.0  # ratio of the two curvatures; more is an edge, along which a key point has no definite place
# A patch has 16 × 16 samples, 0.75 widths of its key point apart, which are summed over 4 × 4 overlapping cells.
_SAMPLES, _STEP, _POOLS = 16, 0.75, 4
_DIRECTION_WIDTH, _PATCH_WIDTH = 2.0, 6.0  # the Gaussian weights of samples, in widths of the key point
_BINS, _SECOND_PEAK = 36, 0.85  # of the histogram of directions; a peak of this height is a key point of its own
_LARGEST_ENTRY = 0.3  # of a descriptor of length 1, so that one strong edge is not everything


@dataclass(frozen=True, slots=True)
class Description:
    """The key points of an image, from its finest octave to its coarsest.

    The descriptor of a key point is (even, odd); in the mirrored image it is (even, -odd).

    Attributes:
        positions: The positions in pixels, complex (N,).
        widths: The widths of the key points in pixels, (N,).
        directions: The direction of the gradient around each, complex of length 1, (N,).
        even: The first half of each descriptor, float16 (N, 32).
        odd: The second half, float16 (N, 32).

    """

    positions: Array
    widths: Array
    directions: Array
    even: Array
    odd: Array

    def part(self, which: slice) -> Description:
        """Return some of the key points."""
        return Description(
            self.positions[which], self.widths[which], self.directions[which], self.even[which], self.odd[which]
        )


def describe(image: Image) -> Description:
    """Return the key points of a gray image (H, W) in [0, 1]."""
    halved = 1.0
    while image.size > _MOST_PIXELS:
        image, halved = geometry.resampled(image, 0.5), halved * 2
    blurred = gaussian_filter(image, (_FIRST_WIDTH**2 - _CAMERA_WIDTH**2) ** 0.5, truncate=3)
    octaves, spacing = [_NOTHING], 1.0
    while min(blurred.shape) >= _SMALLEST_SIDE:
        levels = _levels(blurred)
        octaves.append(_in_octave(levels, spacing))
        blurred, spacing = levels[_SCALES][::2, ::2], spacing * 2
    return _joined(octaves, halved)


def _joined(parts: list[Description], zoom: float) -> Description:
    """Return all key points, in pixels of the image that is `zoom` times as large."""
    return Description(
        np.concatenate([part.positions for part in parts]) * np.float32(zoom),
        np.concatenate([part.widths for part in parts]) * np.float32(zoom),
        np.concatenate([part.directions for part in parts]),
        np.concatenate([part.even for part in parts]),
        np.concatenate([part.odd for part in parts]),
    )


def _levels(blurred: Image) -> Image:
    """Return an octave's image at increasing blur, (_SCALES + 3, H, W)."""
    levels = [blurred]
    for index in range(_SCALES + 2):
        before, after = _FIRST_WIDTH * 2 ** (index / _SCALES), _FIRST_WIDTH * 2 ** ((index + 1) / _SCALES)
        levels.append(gaussian_filter(levels[-1], (after**2 - before**2) ** 0.5, truncate=3))
    return np.stack(levels)


def _in_octave(levels: Image, spacing: float) -> Description:
    """Return the key points of an octave that has every so many-th pixel of the image."""
    most = _IN_FIRST_OCTAVE if spacing == 1 else _IN_OTHERS
    differences = np.diff(levels, axis=0)
    scale, y, x = _points(differences, *_extrema(np.abs(differences), most))
    finer, down, right = (_offset(differences, scale, y, x, axis) for axis in range(3))
    widths = (_FIRST_WIDTH * 2 ** ((scale + finer) / _SCALES)).astype(np.float32)
    positions = (x + right + 1j * (y + down)).astype(np.complex64)
    gradients = _gradients(levels[1 : _SCALES + 1])
    which, directions = _directions(gradients, scale - 1, positions, widths)
    scale, positions, widths = scale[which], positions[which], widths[which]
    even, odd = _descriptors(gradients, scale - 1, positions, widths, directions)
    # Octaves share the centre of their first pixel, which is at 0.5.
    positions = positions * np.float32(spacing) + np.complex64(0.5 + 0.5j)
    return Description(positions, widths * np.float32(spacing), directions, even, odd)


def _extrema(strength: Image, most: int) -> tuple[Array, Array, Array]:
    """Return the scales, rows and columns of values that no neighbour exceeds: at most so many in a cell."""
    nearby = strength
    for axis in range(3):
        nearby = np.moveaxis(nearby, axis, 0)
        nearby = np.moveaxis(np.maximum(np.maximum(nearby[:-2], nearby[1:-1]), nearby[2:]), 0, axis)
    inner = strength[1:-1, 1:-1, 1:-1]
    scale, y, x = np.nonzero((inner >= nearby) & (inner > _LEAST_STRENGTH))
    cell = y // _CELL * (strength.shape[2] // _CELL + 1) + x // _CELL
    order = np.lexsort((-inner[scale, y, x], cell))
    _, first, count = np.unique(cell[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, count)
    chosen = order[rank < most]
    return scale[chosen] + 1, y[chosen] + 1, x[chosen] + 1


def _points(values: Image, scale: Array, y: Array, x: Array) -> tuple[Array, Array, Array]:
    """Return the extrema that are curved in both directions; the others are on an edge."""
    at = values[scale, y, x]
    down = values[scale, y + 1, x] + values[scale, y - 1, x] - 2 * at
    right = values[scale, y, x + 1] + values[scale, y, x - 1] - 2 * at
    falling = values[scale, y + 1, x + 1] + values[scale, y - 1, x - 1]
    rising = values[scale, y - 1, x + 1] + values[scale, y + 1, x - 1]
    trace, determinant = down + right, down * right - ((falling - rising) / 4) ** 2
    round_enough = trace**2 * _MOST_ELONGATED < determinant * (_MOST_ELONGATED + 1) ** 2
    return scale[round_enough], y[round_enough], x[round_enough]


def _offset(values: Image, scale: Array, y: Array, x: Array, axis: int) -> Array:
    """Return the distance from each extremum to that of the parabola through it and its neighbours along an axis."""
    near, row, column = (int(axis == each) for each in range(3))
    before, after = values[scale - near, y - row, x - column], values[scale + near, y + row, x + column]
    bend = before - 2 * values[scale, y, x] + after
    return np.asarray(np.clip((before - after) / 2 / np.where(bend == 0, 1, bend), -0.5, 0.5))


def _gradients(levels: Image) -> Array:
    """Return the gradients, complex and of the shape of the levels; 0 at the edges."""
    result = np.zeros(levels.shape, np.complex64)
    result.real[:, :, 1:-1] = levels[:, :, 2:] - levels[:, :, :-2]
    result.imag[:, 1:-1] = levels[:, 2:] - levels[:, :-2]
    return result


def _sampled(gradients: Array, scale: Array, positions: Array) -> Array:
    """Return the gradients at the pixels nearest to positions (N, K) at one scale each, (N, K)."""
    _, height, width = gradients.shape
    x = np.clip(np.rint(positions.real), 0, width - 1).astype(np.intp)
    y = np.clip(np.rint(positions.imag), 0, height - 1).astype(np.intp)
    return np.asarray(gradients.reshape(-1)[(scale[:, None] * height + y) * width + x])


def _directions(gradients: Array, scale: Array, positions: Array, widths: Array) -> tuple[Array, Array]:
    """Return the main directions of the gradients around each key point: the key point's index and the direction."""
    found = _sampled(gradients, scale, positions[:, None] + widths[:, None] * _NEAR_SAMPLES)
    bins = np.floor(np.angle(found) * (_BINS / (2 * np.pi))).astype(np.intp) % _BINS
    bins += np.arange(len(scale))[:, None] * _BINS
    weights = np.abs(found) * _NEAR_WEIGHTS
    histogram: Array = np.bincount(bins.ravel(), weights.ravel(), len(scale) * _BINS).reshape(-1, _BINS)
    for _ in range(3):
        histogram = (np.roll(histogram, 1, 1) + histogram + np.roll(histogram, -1, 1)) / 3
    before, after = np.roll(histogram, 1, 1), np.roll(histogram, -1, 1)
    high = histogram >= _SECOND_PEAK * histogram.max(axis=1, keepdims=True)
    which, peak = np.nonzero(high & (histogram >= before) & (histogram > after))
    left, top, right = before[which, peak], histogram[which, peak], after[which, peak]
    angles = (peak + 0.5 + (left - right) / 2 / (left - 2 * top + right)) * (2 * np.pi / _BINS)
    return which, np.exp(1j * angles).astype(np.complex64)


def _descriptors(
    gradients: Array, scale: Array, positions: Array, widths: Array, directions: Array
) -> tuple[Array, Array]:
    """Return the even and the odd half of the descriptors."""
    # The patch is turned so that its gradient points down; then mirroring the image mirrors the patch left to right.
    right = directions * np.complex64(-1j)
    found = _sampled(gradients, scale, positions[:, None] + (widths * right)[:, None] * _PATCH)
    found *= np.conj(right)[:, None]
    x, y = found.real, found.imag
    kinds = np.stack([np.maximum(x, 0), np.maximum(-x, 0), np.maximum(y, 0), np.maximum(-y, 0)], axis=1)
    sums = _limited((kinds.reshape(-1, _SAMPLES**2) @ _POOLING).reshape(-1, 4 * _POOLS**2))
    cells = sums.reshape(-1, 4, _POOLS, _POOLS) * np.float32(0.5**0.5)
    mirrored = cells[:, [1, 0, 2, 3], :, ::-1]
    # One half of the cells tells the other by symmetry.
    even, odd = (cells + mirrored)[..., : _POOLS // 2], (cells - mirrored)[..., : _POOLS // 2]
    return _short(even), _short(odd)


def _limited(sums: Array) -> Array:
    """Return the rows at length 1, with no entry much above the limit."""
    sums = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    sums = np.minimum(sums, _LARGEST_ENTRY)
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9))


def _short(half: Array) -> Array:
    """Return (N, 32) values of 16 bits, which are enough and take half the room in memory and in files."""
    return half.reshape(-1, 2 * _POOLS**2).astype(np.float16)


def _pooling(samples: Array) -> Array:
    """Return the weights with which samples along each axis are summed into cells, (16 × 16, 4 × 4)."""
    spacing = _SAMPLES / _POOLS * _STEP
    centres = (np.arange(_POOLS) - (_POOLS - 1) / 2) * spacing
    near = np.maximum(0, 1 - np.abs(samples[:, None] - centres) / spacing)
    weights = near[:, None, :, None] * near[None, :, None, :]
    return np.asarray(weights.reshape(_SAMPLES**2, _POOLS**2))


_LINE = (np.arange(_SAMPLES) - (_SAMPLES - 1) / 2) * _STEP
_PATCH = (_LINE + 1j * _LINE[:, None]).ravel().astype(np.complex64)
_POOLING = (_pooling(_LINE) * np.exp(-(np.abs(_PATCH[:, None]) ** 2) / (2 * _PATCH_WIDTH**2))).astype(np.float32)
_NEAR_SAMPLES = _PATCH[np.abs(_PATCH) < 2.5 * _DIRECTION_WIDTH]
_NEAR_WEIGHTS = np.exp(-(np.abs(_NEAR_SAMPLES) ** 2) / (2 * _DIRECTION_WIDTH**2)).astype(np.float32)
_NOTHING = Description(
    np.zeros(0, np.complex64), np.zeros(0, np.float32), np.zeros(0, np.complex64),
    np.zeros((0, 2 * _POOLS**2), np.float16), np.zeros((0, 2 * _POOLS**2), np.float16),
)  # fmt: skip
