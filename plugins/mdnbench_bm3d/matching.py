"""Block matching: for each reference block, the positions of the blocks that resemble it most.

All references of a tile are compared at once. The outer loop is over displacements, from near to far, because for one
displacement the squared differences of neighbouring blocks overlap and are summed once. The image is split into one
plane for each column modulo the step, so that the references of a row are neighbours in memory.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from mdnbench_bm3d.compilation import compiled

SIDE = 8  # of a block, in pixels
LANES = 8  # references that are compared with their worst match at once
SPARE = 2 * LANES  # samples after the last reference of a row that may be read


def displacements(radius: int) -> Any:
    """Return the displacements (n, 2) as (dy, dx) in a square of that radius, the nearest first."""
    span = np.arange(-radius, radius + 1)
    pairs = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
    return pairs[np.argsort((pairs**2).sum(axis=1), kind="stable")]


def phase_planes(image: Any, step: int) -> Any:
    """Return planes (step, H + step + 1, columns) of an image (H, W): plane p has the columns p + n step.

    The rows and columns that are added are 0; they are read, but belong to no block that counts.
    """
    height, width = image.shape
    columns = -(-width // step)
    planes = np.zeros((step, height + step + 1, columns + SPARE), np.float32)
    for phase in range(step):
        taken = image[:, phase::step]
        planes[phase, :height, : taken.shape[1]] = taken
    return planes


@compiled("i8(f4[::1], i4[::1], i8, f4, i4)")
def _keep(distances: Any, positions: Any, place: int, distance: float, position: int) -> int:
    """Write a match to its place and return that of the worst match, which has a meaning once the group is full."""
    distances[place] = distance
    positions[place] = position
    worst = distances[0]
    for i in range(distances.size):
        worst = max(worst, distances[i])
    for i in range(distances.size):
        if distances[i] == worst:
            place = i
    return place


@compiled("void(f4[::1], i4[::1], i8)")
def _sort(distances: Any, positions: Any, count: int) -> None:
    """Sort the matches of one reference by distance, the best first."""
    for i in range(1, count):
        distance = distances[i]
        position = positions[i]
        j = i - 1
        while j >= 0 and distances[j] > distance:
            distances[j + 1] = distances[j]
            positions[j + 1] = positions[j]
            j -= 1
        distances[j + 1] = distance
        positions[j + 1] = position


@compiled("void(f4[:, :, ::1], i4[:, :, ::1], i4[:, ::1])")
def _finish(distances: Any, positions: Any, counts: Any) -> None:
    """Sort all matches, and cut each group to a power of two."""
    for row in range(counts.shape[0]):
        for column in range(counts.shape[1]):
            _sort(distances[row, column], positions[row, column], counts[row, column])
            power = 1
            while 2 * power <= counts[row, column]:
                power *= 2
            counts[row, column] = power


@compiled("void(f4[::1], f4[::1], i8, i8, f4[:, ::1], i4[:, ::1], i4[::1], i8[::1], i8, i8)")
def _keep_better(
    found: Any, worst: Any, first: int, last: int, distances: Any, positions: Any, counts: Any, places: Any,
    position: int, step: int,
) -> None:  # fmt: skip
    """Insert a row's matches where they are better than the worst so far; `position` is that of the first column."""
    most = distances.shape[1]
    for start in range(0, found.size, LANES):
        better = False
        for i in range(LANES):
            better |= found[start + i] < worst[start + i]
        if not better:
            continue
        for column in range(max(start, first), min(start + LANES, last)):
            if found[column] >= worst[column]:
                continue
            place = places[column]
            if counts[column] < most:
                place = counts[column]
                counts[column] += 1
            place = _keep(distances[column], positions[column], place, found[column], position + column * step)
            if counts[column] == most:
                places[column] = place
                worst[column] = distances[column, place]


@functools.cache
def matcher(step: int) -> Any:
    """Return a compiled function that finds matches of references that are `step` pixels apart, 3 to 8.

    The step is a constant in it, so that the compiler unrolls all short loops. It is one long function because compiled
    code is not found again by a later process if it refers to other functions of this factory.

    Args:
        step: The distance of references.

    Returns:
        A function of these arguments:

        - planes: The image's planes, from `phase_planes`.
        - top: The row of the first reference.
        - left: Its column, a multiple of the step.
        - moves: The displacements to try, from `displacements`.
        - low: The first row and column at which a match may begin.
        - high: The last row and column.
        - limit: The sum of squared differences that a match must stay below.
        - distances: The result: sums of squared differences, (rows, columns, most matches), the best first.
        - positions: The result: the matches' positions as `row * width + column`, of the same shape.
        - counts: The result: the number of matches, (rows, columns), a power of two.
        - width: The width by which positions are numbered.

    """
    full = SIDE // step  # whole segments of `step` rows or columns in a block: 1 or 2
    rest = SIDE % step

    @compiled(
        "void(f4[:, :, ::1], i8, i8, i8[:, ::1], UniTuple(i8, 2), UniTuple(i8, 2), f4,"
        " f4[:, :, ::1], i4[:, :, ::1], i4[:, ::1], i8)"
    )
    def match(
        planes: Any, top: int, left: int, moves: Any, low: Any, high: Any, limit: float,
        distances: Any, positions: Any, counts: Any, width: int,
    ) -> None:  # fmt: skip
        _, height, stride = planes.shape
        rows, columns, _ = distances.shape
        pixels = planes.reshape(planes.size)
        count = (columns + LANES - 1) // LANES * LANES
        wide = count + LANES
        wholes = np.zeros((3, step, wide), np.float32)  # sums over a segment's rows: the last three segments, by phase
        parts = np.zeros((step, wide), np.float32)  # sums over its first `rest` rows
        whole = np.zeros(wide, np.float32)  # sums over a block's rows and `step` columns
        part = np.zeros(wide, np.float32)  # sums over its rows and `rest` columns
        found = np.zeros(count, np.float32)
        worst = np.full((rows, count), np.float32(-1))
        worst[:, :columns] = limit
        places = np.zeros((rows, columns), np.int64)
        counts[:] = 0
        for move in range(moves.shape[0]):
            dy = moves[move, 0]
            dx = moves[move, 1]
            first_row = max(0, -((top + dy - low[0]) // step))
            last_row = min(rows, (high[0] - top - dy) // step + 1)
            first = max(0, -((left + dx - low[1]) // step))
            last = min(columns, (high[1] - left - dx) // step + 1)
            if first_row >= last_row or first >= last:
                continue
            for segment in range(first_row, last_row + full):
                y = top + step * segment
                for phase in range(step):
                    shift = (dx + phase) // step
                    other = dx + phase - shift * step
                    place = (phase * height + y) * stride + left // step
                    ours = pixels[place : place + step * stride].reshape(step, stride)
                    place = (other * height + y + dy) * stride + left // step + shift
                    theirs = pixels[place : place + step * stride].reshape(step, stride)
                    sums = wholes[segment % 3, phase]
                    begun = parts[phase]
                    for j in range(wide):
                        total = np.float32(0)
                        for i in range(rest):
                            difference = ours[i, j] - theirs[i, j]
                            total += difference * difference
                        begun[j] = total
                        for i in range(rest, step):
                            difference = ours[i, j] - theirs[i, j]
                            total += difference * difference
                        sums[j] = total
                row = segment - full
                if row < first_row:
                    continue
                upper = wholes[row % 3]
                lower = wholes[(row + 1) % 3]
                for j in range(wide):
                    total = np.float32(0)
                    for phase in range(rest):
                        total += upper[phase, j] + parts[phase, j]
                        if full == 2:
                            total += lower[phase, j]
                    part[j] = total
                    for phase in range(rest, step):
                        total += upper[phase, j] + parts[phase, j]
                        if full == 2:
                            total += lower[phase, j]
                    whole[j] = total
                for j in range(count):
                    total = whole[j] + part[j + full]
                    if full == 2:
                        total += whole[j + 1]
                    found[j] = total
                position = (top + step * row + dy) * width + left + dx
                _keep_better(
                    found, worst[row], first, last, distances[row], positions[row], counts[row], places[row],
                    position, step,
                )  # fmt: skip
        _finish(distances, positions, counts)

    return match
