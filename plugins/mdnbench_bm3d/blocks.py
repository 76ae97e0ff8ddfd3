"""Transforms of all blocks of an image at once, and the way back from filtered blocks to pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from mdnbench_bm3d.compilation import compiled

SIDE = 8


@compiled("void(f4[:, ::1], f4[:, ::1], f4[:, :, ::1])")
def forward(image: Any, matrix: Any, blocks: Any) -> None:
    """Transform the block at every position.

    Args:
        image: The image, (H, W).
        matrix: The transform along one axis, (8, 8), one basis function a row.
        blocks: The result, (H - 7, W - 7, 64).

    """
    height, width = image.shape
    down = np.empty((SIDE, width), np.float32)
    across = np.empty((SIDE, width), np.float32)
    for y in range(height - SIDE + 1):
        for k in range(SIDE):
            for x in range(width):
                total = np.float32(0)
                for i in range(SIDE):
                    total += matrix[k, i] * image[y + i, x]
                down[k, x] = total
        for k in range(SIDE):
            row = down[k]
            for m in range(SIDE):
                for x in range(width - SIDE + 1):
                    total = np.float32(0)
                    for i in range(SIDE):
                        total += matrix[m, i] * row[x + i]
                    across[m, x] = total
            for x in range(width - SIDE + 1):
                for m in range(SIDE):
                    blocks[y, x, k * SIDE + m] = across[m, x]


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
    planar = np.empty((SIDE * SIDE, width), np.float32)
    down = np.empty((SIDE, width), np.float32)
    for y in range(height):
        for x in range(width):
            for k in range(SIDE * SIDE):
                planar[k, x] = blocks[y, x, k]
        for i in range(SIDE):
            for m in range(SIDE):
                for x in range(width):
                    total = np.float32(0)
                    for k in range(SIDE):
                        total += inverse[i, k] * planar[k * SIDE + m, x]
                    down[m, x] = total
            for j in range(SIDE):
                pixels = sums[y + i]
                divisor = divisors[y + i]
                for x in range(width):
                    total = np.float32(0)
                    for m in range(SIDE):
                        total += inverse[j, m] * down[m, x]
                    pixels[x + j] += window[i, j] * total
                for x in range(width):
                    divisor[x + j] += window[i, j] * weights[y, x]
