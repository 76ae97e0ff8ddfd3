"""Transforms of all blocks of an image at once, and the way back from filtered blocks to pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdnbench_bm3d.compilation import compiled

SIDE = 8


@compiled("void(f4[::1], f4[:, ::1], f4[::1])")
def _combine(factors: Any, rows: Any, result: Any) -> None:
    """Add up eight rows, each times its factor."""
    for x in range(result.size):
        total = np.float32(0)
        for k in range(SIDE):
            total += factors[k] * rows[k, x]
        result[x] = total


@compiled("void(f4[:, ::1], f4[::1], f4[:, ::1])")
def _combine_columns(matrix: Any, row: Any, results: Any) -> None:
    """Multiply a matrix (8, 8) by the eight samples at each position of a row."""
    for m in range(SIDE):
        for x in range(results.shape[1]):
            total = np.float32(0)
            for i in range(SIDE):
                total += matrix[m, i] * row[x + i]
            results[m, x] = total


@compiled("void(f4[:, ::1], f4[:, ::1], f4[:, :, ::1])")
def forward(image: Any, matrix: Any, blocks: Any) -> None:
    """Transform the block at every position.

    Args:
        image: The image, (H, W).
        matrix: The transform along one axis, (8, 8), one basis function a row.
        blocks: The result, (H - 7, W - 7, 64).

    """
    height, width, _ = blocks.shape
    down = np.empty((SIDE, image.shape[1]), np.float32)
    across = np.empty((SIDE, width), np.float32)
    for y in range(height):
        for k in range(SIDE):
            _combine(matrix[k], image[y : y + SIDE], down[k])
            _combine_columns(matrix, down[k], across)
            for x in range(width):
                for m in range(SIDE):
                    blocks[y, x, k * SIDE + m] = across[m, x]


@compiled("void(f4[::1], f4[:, ::1], f4, f4[::1], f4[::1], f4[::1])")
def _add_column(factors: Any, rows: Any, share: float, weights: Any, pixels: Any, divisors: Any) -> None:
    """Add one pixel of the block at each position of a row, times the window's share, and the weights."""
    for x in range(weights.size):
        total = np.float32(0)
        for m in range(SIDE):
            total += factors[m] * rows[m, x]
        pixels[x] += share * total
    for x in range(weights.size):
        divisors[x] += share * weights[x]


@compiled("void(f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1])")
def backward(blocks: Any, weights: Any, inverse: Any, window: Any, sums: Any, divisors: Any) -> None:
    """Add every position's weighted block, transformed back and multiplied by the window, to the image.

    The inverse is linear, so that one transform serves all blocks that were added up at a position.

    Args:
        blocks: The sums of weighted blocks, (H - 7, W - 7, 64).
        weights: The sums of their weights, (H - 7, W - 7).
        inverse: The inverse transform along one axis, (8, 8).
        window: The window, (8, 8).
        sums: Sums of weighted pixels, (H, W); added to.
        divisors: Sums of weights, (H, W); added to.

    """
    height, width = weights.shape
    planar = np.empty((SIDE, SIDE, width), np.float32)
    down = np.empty((SIDE, width), np.float32)
    for y in range(height):
        for x in range(width):
            for k in range(SIDE):
                for m in range(SIDE):
                    planar[m, k, x] = blocks[y, x, k * SIDE + m]
        for i in range(SIDE):
            for m in range(SIDE):
                _combine(inverse[i], planar[m], down[m])
            for j in range(SIDE):
                _add_column(inverse[j], down, window[i, j], weights[y], sums[y + i, j:], divisors[y + i, j:])
