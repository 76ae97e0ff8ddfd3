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
    """Return planes (step, H + step + 1, columns) of an image (H, W): plane p has the columns p, p + step, p + 2 step, …

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
    """Write a match to its place and return where the worst of all matches stands now."""
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


@functools.cache
def matcher(step: int) -> Any:
    """Return `match` compiled for references that are `step` pixels apart, 3 to 8.

    The step is a constant in it, so that the compiler unrolls all short loops.
    """
    full = SIDE // step  # whole segments of `step` rows or columns in a block: 1 or 2
    rest = SIDE % step

    @compiled("void(f4[:, :, ::1], i8, i8, i8[:, ::1], i8, i8, i8, i8, f4, f4[:, :, ::1], i4[:, :, ::1], i4[:, ::1], i8)")
    def match(planes, top, left, moves, low_y, high_y, low_x, high_x, limit, distances, positions, counts, width):
        _, height, stride = planes.shape
        rows, columns, most = distances.shape
        groups = (columns + LANES - 1) // LANES
        count = groups * LANES
        wide = count + LANES
        pixels = planes.reshape(planes.size)
        segments = np.zeros((3, step, wide), np.float32)  # sums of squared differences over `step` rows
        parts = np.zeros((step, wide), np.float32)  # and over the first `rest` rows of a segment
        whole = np.zeros(wide, np.float32)  # sums over the rows of a block and `step` columns
        part = np.zeros(wide, np.float32)  # and over `rest` columns
        found = np.zeros(count, np.float32)
        worst = np.full((rows, count), np.float32(-1))
        worst[:, :columns] = limit
        places = np.zeros((rows, columns), np.int64)
        counts[:] = 0
        for move in range(moves.shape[0]):
            dy = moves[move, 0]
            dx = moves[move, 1]
            first_row = max(0, -((top + dy - low_y) // step))
            last_row = min(rows, (high_y - top - dy) // step + 1)
            first_column = max(0, -((left + dx - low_x) // step))
            last_column = min(columns, (high_x - left - dx) // step + 1)
            if first_row >= last_row or first_column >= last_column:
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
                    sums = segments[segment % 3, phase]
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
                upper = segments[row % 3]
                lower = segments[(row + 1) % 3]
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
                beaten = worst[row]
                for group in range(groups):
                    start = group * LANES
                    better = False
                    for i in range(LANES):
                        better |= found[start + i] < beaten[start + i]
                    if not better:
                        continue
                    for column in range(max(start, first_column), min(start + LANES, last_column)):
                        if found[column] >= beaten[column]:
                            continue
                        position = (top + step * row + dy) * width + left + step * column + dx
                        place = places[row, column]
                        if counts[row, column] < most:
                            place = counts[row, column]
                            counts[row, column] += 1
                        place = _keep(distances[row, column], positions[row, column], place, found[column], position)
                        if counts[row, column] == most:
                            places[row, column] = place
                            beaten[column] = distances[row, column, place]
        for row in range(rows):
            for column in range(columns):
                _sort(distances[row, column], positions[row, column], counts[row, column])
                power = 1
                while 2 * power <= counts[row, column]:
                    power *= 2
                counts[row, column] = power

    return match
