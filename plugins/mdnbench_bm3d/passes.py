"""One pass of BM3D over an image, tile by tile: memory stays bounded, and threads write to nothing that they share."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdnbench_bm3d.blocks import backward, forward
from mdnbench_bm3d.groups import filter_groups
from mdnbench_bm3d.matching import SIDE, displacements, match, phase_planes
from mdnbench_bm3d.profiles import Pass

TILE_ROWS, TILE_COLUMNS = 32, 128  # references of a tile


@dataclass(frozen=True, slots=True)
class Plan:
    """What all tiles of one pass share.

    Attributes:
        parameters: The pass's parameters.
        second: Whether it is the second pass.
        matrix: The transform along one axis, float32 (8, 8).
        inverse: Its inverse, times the window.
        window: The window along one axis, float32 (8,).
        covariances: How close blocks share noise, float32, for one unit of `levels`.
        limit: The sum of squared differences up to which blocks match.

    """

    parameters: Pass
    second: bool
    matrix: Any
    inverse: Any
    window: Any
    covariances: Any
    limit: float


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the grid of references.

    Attributes:
        top: The row of the first reference in the image, in pixels.
        left: Its column, in pixels.
        rows: How many rows of references there are.
        columns: How many columns.

    """

    top: int
    left: int
    rows: int
    columns: int


class Buffers(threading.local):
    """Large arrays that a thread uses for one tile after the other, because new memory costs time."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> Any:
        """Return the float32 array of that name, in this shape, with any content."""
        size = math.prod(shape)
        if name not in self._kept or self._kept[name].size < size:
            self._kept[name] = np.empty(size, np.float32)
        return self._kept[name][:size].reshape(shape)


def bands(shape: tuple[int, int], step: int) -> Iterator[list[Tile]]:
    """Yield the tiles of an image, one row of tiles after the other."""
    rows, columns = (-(-(side - SIDE) // step) + 1 for side in shape)
    for top in range(0, rows, TILE_ROWS):
        yield [
            Tile(top * step, left * step, min(TILE_ROWS, rows - top), min(TILE_COLUMNS, columns - left))
            for left in range(0, columns, TILE_COLUMNS)
        ]


def run(planes: Any, guide: Any, levels: Any, plan: Plan, buffers: Buffers, workers: Executor | None) -> Any:
    """Return the filtered image, float32 (C, H, W).

    Args:
        planes: The noisy image, float32 (C, H, W); blocks are matched on its first channel.
        guide: The first pass's result, of the same shape; None in the first pass.
        levels: The noise variance of each pixel relative to the plan's covariances, float32 (H, W); None means 1.
        plan: What all tiles share.
        buffers: The threads' arrays.
        workers: Threads for the tiles of a band; None means this thread.

    """
    channels, height, width = planes.shape
    parameters = plan.parameters
    reach = parameters.radius
    result = np.empty_like(planes)
    span = TILE_ROWS * parameters.step + SIDE + 2 * reach + parameters.step
    sums = np.zeros((channels, span, width), np.float32)
    divisors = np.zeros_like(sums)
    begin = -reach  # the image's row at which `sums` begins
    done = 0

    def filtered(tile: Tile) -> tuple[Any, Any]:
        return _tile(planes, guide, levels, tile, plan, buffers)

    for tiles in bands((height, width), parameters.step):
        top = tiles[0].top - reach
        finished = min(max(top, done), height)
        _divide(sums, divisors, begin, done, finished, result)
        done = finished
        moved = top - begin
        if moved:
            for kept in (sums, divisors):
                kept[:, : span - moved] = kept[:, moved:].copy()
                kept[:, span - moved :] = 0
            begin = top
        outputs = workers.map(filtered, tiles) if workers else map(filtered, tiles)
        for tile, (ours, weights) in zip(tiles, outputs, strict=True):
            _merge(sums, ours, tile.left - reach, width)
            _merge(divisors, weights, tile.left - reach, width)
    _divide(sums, divisors, begin, done, height, result)
    return result


def _divide(sums: Any, divisors: Any, begin: int, first: int, last: int, result: Any) -> None:
    rows = slice(first - begin, last - begin)
    np.divide(sums[:, rows], divisors[:, rows], out=result[:, first:last])


def _merge(total: Any, part: Any, left: int, width: int) -> None:
    """Add a tile's array (C, h, w), whose first column is the image's column `left`."""
    first, last = max(left, 0), min(left + part.shape[2], width)
    total[:, : part.shape[1], first:last] += part[:, :, first - left : last - left]


def _tile(planes: Any, guide: Any, levels: Any, tile: Tile, plan: Plan, buffers: Buffers) -> tuple[Any, Any]:
    """Return sums of weighted pixels and of weights, (C, h, w), of the tile with the radius around it."""
    step, reach = plan.parameters.step, plan.parameters.radius
    margin = -(-reach // step) * step  # a multiple of the step, so that references begin a column of phase 0
    tall = (tile.rows - 1) * step + SIDE + 2 * margin
    wide = (tile.columns - 1) * step + SIDE + 2 * margin
    area = (tile.top - margin, tile.left - margin, tall, wide)
    noisy = cut(planes, area)
    guided = noisy if guide is None else cut(guide, area)
    positions, counts = _matches(guided[0], planes.shape[1:], tile, margin, plan)
    places = (tall - SIDE + 1, wide - SIDE + 1)
    level = np.ones(places, np.float32) if levels is None else _block_means(cut(levels[None], area)[0])
    factor = plan.parameters.factor if plan.second else plan.parameters.factor**2
    blocks = buffers.array("blocks", (*places, SIDE * SIDE))
    guides = buffers.array("guides", blocks.shape) if plan.second else blocks
    added, weights = buffers.array("added", blocks.shape), buffers.array("weights", places)
    sums, divisors = np.zeros((2, len(planes), tall, wide), np.float32)
    for channel in range(len(planes)):
        forward(noisy[channel], plan.matrix, blocks)
        if plan.second:
            forward(guided[channel], plan.matrix, guides)
        added[:], weights[:] = 0, 0
        filter_groups(blocks, guides, plan.second, level, positions, counts, plan.covariances, factor, added, weights)
        backward(added, weights, plan.inverse, plan.window, sums[channel], divisors[channel])
    spare = margin - reach
    inner = (slice(None), slice(spare, tall - spare), slice(spare, wide - spare))
    return sums[inner], divisors[inner]


def _matches(image: Any, whole: tuple[int, int], tile: Tile, margin: int, plan: Plan) -> tuple[Any, Any]:
    """Return the positions of each reference's matches in a tile's image (h, w), and their number.

    A match may begin wherever its block lies in the whole image, or in the few rows and columns that complete the grid
    of references.
    """
    step = plan.parameters.step
    shape = (tile.rows, tile.columns, plan.parameters.most)
    distances, positions = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
    counts = np.empty(shape[:2], np.int32)
    low, high = [], []
    for begin, side, size in zip((tile.top, tile.left), whole, image.shape, strict=True):
        end = -(-(side - SIDE) // step) * step  # where the last reference of the whole image begins
        low.append(max(margin - begin, 0))
        high.append(min(end - begin + margin, size - SIDE))
    match(
        phase_planes(image, step), margin, margin, displacements(plan.parameters.radius), tuple(low), tuple(high),
        plan.limit, distances, positions, counts, image.shape[1] - SIDE + 1,
    )  # fmt: skip
    return positions, counts


def cut(planes: Any, area: tuple[int, int, int, int]) -> Any:
    """Return an area (top, left, height, width) of planes (C, H, W), mirrored beyond the borders."""
    top, left, high, wide = area
    rows = _mirrored(np.arange(top, top + high), planes.shape[1])
    columns = _mirrored(np.arange(left, left + wide), planes.shape[2])
    return np.ascontiguousarray(planes[:, rows[:, None], columns])


def _mirrored(index: Any, size: int) -> Any:
    folded = index % (2 * size)
    return np.minimum(folded, 2 * size - 1 - folded)


def _block_means(levels: Any) -> Any:
    """Return the mean of the block at every position of a map."""
    windows = np.lib.stride_tricks.sliding_window_view(levels, (SIDE, SIDE))
    return np.ascontiguousarray(windows.mean(axis=(2, 3)), np.float32)
