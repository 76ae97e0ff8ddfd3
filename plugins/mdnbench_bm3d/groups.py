"""Filter groups of similar blocks: Haar along the group, shrink, back, and add up at each block's position."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mdnbench_bm3d.compilation import compiled

SIZE = 64  # coefficients of a block
ROOT_OF_HALF = np.float32(math.sqrt(0.5))
CERTAIN = np.float32(1e9)  # a coefficient that no rule changes
LEAST_VARIANCE = np.float32(0.01)  # of a coefficient, as a fraction of a lone block's


@compiled("void(f4[::1], f4[::1])")
def _sum_and_difference(upper: Any, lower: Any) -> None:
    """Replace two rows by their sum and difference, both divided by the root of 2; done twice, this gives them back."""
    for k in range(SIZE):
        total = (upper[k] + lower[k]) * ROOT_OF_HALF
        lower[k] = (upper[k] - lower[k]) * ROOT_OF_HALF
        upper[k] = total


@compiled("void(f4[:, ::1], i8)")
def _haar(group: Any, count: int) -> None:
    """Apply the Haar transform along a group (count, 64), in place.

    The difference of the halves of the blocks a to a + m - 1 comes to row a + m / 2, the sum of all to row 0.
    """
    half = 1
    while half < count:
        for start in range(0, count, 2 * half):
            _sum_and_difference(group[start], group[start + half])
        half *= 2


@compiled("void(f4[:, ::1], i8)")
def _haar_back(group: Any, count: int) -> None:
    """Undo `_haar`, in place."""
    half = count // 2
    while half >= 1:
        for start in range(0, count, 2 * half):
            _sum_and_difference(group[start], group[start + half])
        half //= 2


@compiled("void(f4[:, ::1], i8[::1], i8[::1], i8, f4[:, :, ::1])")
def _add_shared(nodes: Any, ys: Any, xs: Any, count: int, covariances: Any) -> None:
    """Add each pair's covariance at the node of the Haar tree where the two are on opposite sides."""
    reach = covariances.shape[0] - 1
    for i in range(1, count):
        for j in range(i):
            dy = ys[i] - ys[j]
            dx = xs[i] - xs[j]
            if dy < 0:
                dy = -dy
                dx = -dx
            if dy > reach or dx > reach or dx < -reach:
                continue
            size = 1
            while i // (2 * size) != j // (2 * size):
                size *= 2
            node = nodes[i // size * size]
            shared = covariances[dy, dx + reach]
            for k in range(SIZE):
                node[k] += shared[k]


@compiled("void(f4[:, ::1], f4[:, ::1], i8[::1], i8[::1], i8, f4[:, :, ::1])")
def _variances(variances: Any, sums: Any, ys: Any, xs: Any, count: int, covariances: Any) -> None:
    """Compute the noise variance of each coefficient of a group that went through `_haar`.

    Blocks that overlap share noise. Each pair of blocks adds its covariance at the one node of the Haar tree where it
    is on opposite sides; the sums over larger nodes follow from their halves.

    Args:
        variances: The result, (count, 64), in the order of `_haar`.
        sums: Working space of that shape.
        ys: The blocks' rows; `xs` their columns.
        xs: The columns.
        count: The number of blocks, a power of two.
        covariances: Of the same coefficient in two blocks that are displaced by (dy, dx - reach), dy ≥ 0:
            (reach + 1, 2 reach + 1, 64).

    """
    reach = covariances.shape[0] - 1
    own = covariances[0, reach]
    for i in range(count):
        for k in range(SIZE):
            variances[i, k] = 0
            sums[i, k] = own[k]
    _add_shared(variances, ys, xs, count, covariances)
    half = 1
    while half < count:
        share = np.float32(1.0 / (2 * half))
        for start in range(0, count, 2 * half):
            upper = sums[start]
            lower = sums[start + half]
            node = variances[start + half]
            for k in range(SIZE):
                both = upper[k] + lower[k]
                cross = 2 * node[k]
                node[k] = max((both - cross) * share, LEAST_VARIANCE * own[k])
                upper[k] = both + cross
        half *= 2
    for k in range(SIZE):
        variances[0, k] = max(sums[0, k] / count, LEAST_VARIANCE * own[k])


@compiled("f4(f4[:, ::1], f4[:, ::1], i8, f4)")
def _threshold(group: Any, variances: Any, count: int, factor: float) -> Any:
    """Set coefficients below the threshold to zero; return the variance of those that are left."""
    left = np.float32(0)
    for i in range(count):
        values = group[i]
        variance = variances[i]
        for k in range(SIZE):
            kept = values[k] * values[k] >= factor * variance[k]
            values[k] = values[k] if kept else np.float32(0)
            left += variance[k] if kept else np.float32(0)
    return left


@compiled("f4(f4[:, ::1], f4[:, ::1], f4[:, ::1], i8, f4)")
def _wiener(group: Any, guide: Any, variances: Any, count: int, factor: float) -> Any:
    """Multiply by Wiener factors from the guide's coefficients; return the variance of what is left."""
    left = np.float32(0)
    for i in range(count):
        values = group[i]
        signal = guide[i]
        variance = variances[i]
        for k in range(SIZE):
            energy = signal[k] * signal[k]
            kept = energy / (energy + factor * variance[k])
            values[k] *= kept
            left += kept * kept * variance[k]
    return left


@compiled("void(f4[:, :, ::1], i8[::1], i8[::1], i8, f4[:, ::1])")
def _gather(blocks: Any, ys: Any, xs: Any, count: int, group: Any) -> None:
    """Copy the blocks at some positions."""
    for i in range(count):
        values = blocks[ys[i], xs[i]]
        for k in range(SIZE):
            group[i, k] = values[k]


@compiled("void(f4[:, ::1], f4, i8[::1], i8[::1], i8, f4[:, :, ::1], f4[:, ::1])")
def _scatter(group: Any, weight: float, ys: Any, xs: Any, count: int, blocks: Any, weights: Any) -> None:
    """Add blocks at their positions, with a weight."""
    for i in range(count):
        values = group[i]
        target = blocks[ys[i], xs[i]]
        for k in range(SIZE):
            target[k] += weight * values[k]
        weights[ys[i], xs[i]] += weight


@compiled(
    "void(f4[:, :, ::1], f4[:, :, ::1], b1, f4[:, ::1], i4[:, :, ::1], i4[:, ::1], f4[:, :, ::1], f4,"
    " f4[:, :, ::1], f4[:, ::1])"
)
def filter_groups(
    noisy: Any,
    guide: Any,
    second: bool,
    levels: Any,
    positions: Any,
    counts: Any,
    covariances: Any,
    factor: float,
    blocks: Any,
    weights: Any,
) -> None:
    """Filter each group and add its blocks, with their weight, at their positions.

    Args:
        noisy: The noisy image's blocks, (H, W, 64), one at each position.
        guide: The blocks of the first pass's result; the noisy ones again if this is the first pass.
        second: Whether this is the second pass: Wiener factors from the guide instead of a threshold.
        levels: The noise variance of the block at each position, relative to `covariances`: (H, W).
        positions: The groups' positions in the flat (H, W) numbering, (rows, columns, most).
        counts: The groups' sizes, powers of two, (rows, columns).
        covariances: As for `_variances`.
        factor: The square of the threshold, or the factor of the variance in Wiener's rule.
        blocks: Sums of weighted blocks, (H, W, 64); added to.
        weights: Sums of weights, (H, W); added to.

    """
    rows, columns, most = positions.shape
    width = noisy.shape[1]
    group = np.empty((most, SIZE), np.float32)
    signal = np.empty((most, SIZE), np.float32)
    variances = np.empty((most, SIZE), np.float32)
    spare = np.empty((most, SIZE), np.float32)
    ys = np.empty(most, np.int64)
    xs = np.empty(most, np.int64)
    least = covariances[0, covariances.shape[0] - 1].max()  # where nothing is left, the group counts like one value
    if second:
        least *= LEAST_VARIANCE
    for row in range(rows):
        for column in range(columns):
            count = counts[row, column]
            level = np.float32(0)
            for i in range(count):
                ys[i] = positions[row, column, i] // width
                xs[i] = positions[row, column, i] - ys[i] * width
                level += levels[ys[i], xs[i]]
            level /= np.float32(count)
            _gather(noisy, ys, xs, count, group)
            _haar(group, count)
            _variances(variances, spare, ys, xs, count, covariances)
            mean = group[0, 0]  # it is kept: a mean near 0, as in colour differences, is no sign of noise
            if second:
                _gather(guide, ys, xs, count, signal)
                _haar(signal, count)
                signal[0, 0] = CERTAIN
                left = _wiener(group, signal, variances, count, factor * level)
            else:
                group[0, 0] = CERTAIN
                left = _threshold(group, variances, count, factor * level)
            group[0, 0] = mean
            _haar_back(group, count)
            weight = np.float32(1) / (max(left, least) * level)
            _scatter(group, weight, ys, xs, count, blocks, weights)
