"""The matrices of the transforms, and what noise becomes under them."""

from __future__ import annotations

from typing import Any

import numpy as np

SIDE = 8
LEAST_VARIANCE = 1e-4  # of a coefficient, as a fraction of the largest; noise of few frequencies leaves some at 0


def dct() -> Any:
    """Return the orthonormal DCT-II of 8 samples, (8, 8), one basis function a row."""
    wave, sample = np.mgrid[:SIDE, :SIDE]
    matrix = 0.5 * np.cos(np.pi * (2 * sample + 1) * wave / 16)
    matrix[0] /= np.sqrt(2)
    return matrix


def biorthogonal() -> Any:
    """Return the wavelet transform bior1.5 of 8 periodic samples with three levels, (8, 8).

    Each basis function has norm one, so that white noise has the same variance in each coefficient. The filters are
    those of Cohen, Daubechies and Feauveau (1992).
    """
    low = np.array([3, -3, -22, 22, 128, 128, 22, -22, -3, 3]) / 256 * np.sqrt(2)
    high = np.array([-1, 1]) / np.sqrt(2)
    matrix = np.eye(SIDE)
    size = SIDE
    while size > 1:
        level = np.eye(SIDE)
        level[:size] = 0
        for i in range(size // 2):
            for tap, weight in enumerate(low):
                level[i, (2 * i + tap - 4) % size] += weight
            for tap, weight in enumerate(high):
                level[size // 2 + i, (2 * i + tap) % size] += weight
        matrix = level @ matrix
        size //= 2
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def covariances(matrix: Any, noise: Any, farthest: int) -> Any:
    """Return how noise is shared by blocks that are close to each other.

    Args:
        matrix: The transform along one axis, (8, 8).
        noise: The autocovariance of the noise at displacements (dy, dx) from -r to r, (2 r + 1, 2 r + 1).
        farthest: Blocks further apart than this are not asked for.

    Returns:
        The covariance of each coefficient of two blocks displaced by (dy, dx - reach), with dy from 0:
        (reach + 1, 2 reach + 1, 64), where the reach is that of the noise and 7 pixels, or `farthest`.

    """
    own = np.stack([np.correlate(row, row, "full") for row in matrix])  # (8, 15): of each basis function
    reach = min(len(noise) // 2 + SIDE - 1, farthest)
    around = reach + SIDE - 1
    padded = np.zeros((2 * around + 1, 2 * around + 1))
    near = min(len(noise) // 2, around)
    middle = len(noise) // 2
    padded[around - near : around + near + 1, around - near : around + near + 1] = noise[
        middle - near : middle + near + 1, middle - near : middle + near + 1
    ]
    patches = np.lib.stride_tricks.sliding_window_view(padded, (2 * SIDE - 1, 2 * SIDE - 1))
    table = np.einsum("yxuv,ku,lv->yxkl", patches[reach:], own, own, optimize=True)
    table = table.reshape(reach + 1, 2 * reach + 1, SIDE * SIDE)
    variances = table[0, reach]
    table[0, reach] = np.maximum(variances, LEAST_VARIANCE * variances.max())  # rounding can make 0 negative
    return table
