"""Transforms of all blocks of an image at once, and the way back from filtered blocks to pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdnbench_bm3d.compilation import compiled

SIDE = 8
CHUNK = 64  # positions whose coefficients are reordered at once, in the fastest cache


@compiled("void(f4[::1], f4[:, ::1], f4[::1])")
def _combine(factors: Any, rows: Any, result: Any) -> None:
    """Add up eight rows, each times its factor."""
    for x in range(result.size):
        total = np.float32(0)
        for k in range(SIDE):
            total += factors[k] * rows[k, x]
        result[x] = total


@compiled("void(f4[::1], f4[:, ::1], f4[::1])")
def _add_combined(factors: Any, rows: Any, result: Any) -> None:
    """Add eight rows, each times its factor, to a row."""
    for x in range(result.size):
        total = np.float32(0)
        for k in range(SIDE):
            total += factors[k] * rows[k, x]
        result[x] += total


@compiled("void(f4, f4[::1], f4[::1])")
def _add_scaled(factor: float, row: Any, result: Any) -> None:
    """Add a row times a factor to a row."""
    for x in range(row.size):
        result[x] += factor * row[x]


@compiled("void(f4[:, ::1], f4[::1], f4[:, ::1])")
def _combine_columns(matrix: Any, row: Any, results: Any) -> None:
    """Multiply a matrix (8, 8) by the eight samples at each position of a row."""
    for m in range(SIDE):
        for x in range(results.shape[1]):
            total = np.float32(0)
            for i in range(SIDE):
                total += matrix[m, i] * row[x + i]
            results[m, x] = total


@compiled("void(f4[:, :, ::1], f4[:, ::1])")
def _to_blocks(planes: Any, blocks: Any) -> None:
    """Copy coefficients (8, 8, n) of n positions to their blocks (n, 64)."""
    for x in range(blocks.shape[0]):
        for k in range(SIDE):
            for m in range(SIDE):
                blocks[x, k * SIDE + m] = planes[k, m, x]


@compiled("void(f4[:, ::1], f4[:, :, ::1])")
def _to_planes(blocks: Any, planes: Any) -> None:
    """Copy coefficients of n blocks (n, 64) to planes (8, 8, n)."""
    for x in range(blocks.shape[0]):
        for k in range(SIDE):
            for m in range(SIDE):
                planes[k, m, x] = blocks[x, k * SIDE + m]


@compiled("void(f4[:, ::1], f4[:, ::1], f4[:, :, ::1])")
def forward(image: Any, matrix: Any, blocks: Any) -> None:
    """Transform the block at every position.

    Args:
        image: The image, (H, W).
        matrix: The transform along one axis, (8, 8), one basis function a row.
        blocks: The result, (H - 7, W - 7, 64).

    """
    height, width, _ = blocks.shape
    columns = image.shape[1]
    down = np.zeros((SIDE, width + CHUNK + SIDE), np.float32)
    across = np.empty((SIDE, SIDE, CHUNK), np.float32)
    for y in range(height):
        for k in range(SIDE):
            _combine(matrix[k], image[y : y + SIDE], down[k, :columns])
        for x in range(0, width, CHUNK):
            for k in range(SIDE):
                _combine_columns(matrix, down[k, x:], across[k])
            _to_blocks(across, blocks[y, x : x + CHUNK])


@compiled("void(f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[::1], f4[:, ::1], f4[:, ::1])")
def backward(blocks: Any, weights: Any, inverse: Any, window: Any, sums: Any, divisors: Any) -> None:
    """Add every position's weighted block, transformed back and multiplied by the window, to the image.

    The inverse is linear, so that one transform serves all blocks that were added up at a position. Rows of blocks are
    added up along x before the transform along y, which is then needed once for each pixel instead of once a block.

    Args:
        blocks: The sums of weighted blocks, (H - 7, W - 7, 64).
        weights: The sums of their weights, (H - 7, W - 7).
        inverse: The inverse transform along one axis times the window, (8, 8).
        window: The window along one axis, (8,).
        sums: Sums of weighted pixels, (H, W); added to.
        divisors: Sums of weights, (H, W); added to.

    """
    height, width = weights.shape
    planes = np.zeros((SIDE, SIDE, CHUNK), np.float32)
    across = np.empty((SIDE, width + CHUNK + SIDE), np.float32)
    spread = np.empty(width + SIDE - 1, np.float32)
    for y in range(height):
        across[:] = 0
        spread[:] = 0
        for x in range(0, width, CHUNK):
            planes[:, :, width - x :] = 0
            _to_planes(blocks[y, x : x + CHUNK], planes)
            for k in range(SIDE):
                for j in range(SIDE):
                    _add_combined(inverse[j], planes[k], across[k, x + j : x + j + CHUNK])
        for j in range(SIDE):
            _add_scaled(window[j], weights[y], spread[j:])
        for i in range(SIDE):
            _add_combined(inverse[i], across, sums[y + i])
            _add_scaled(window[i], spread, divisors[y + i])
