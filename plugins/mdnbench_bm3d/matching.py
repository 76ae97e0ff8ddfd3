"""Block matching: for each reference block, the positions of the blocks that resemble it most.

All references of a tile are compared at once. The outer loop is over displacements, from near to far, because for one
displacement the squared differences of neighbouring blocks overlap and are summed once. The image is split into one
plane for each row and each column modulo the step. Pixels at the same place of neighbouring blocks are then neighbours
in memory, so that each step of the computation is one loop over the whole tile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdnbench_bm3d.compilation import compiled

SIDE = 8  # of a block, in pixels
LANES = 8  # references that are compared with their worst match at once
SPARE = 3  # rows and columns of a plane that may be read, but belong to no block


def displacements(radius: int) -> Any:
    """Return the displacements (n, 2) as (dy, dx) in a square of that radius, the nearest first."""
    span = np.arange(-radius, radius + 1)
    pairs = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
    return pairs[np.argsort((pairs**2).sum(axis=1), kind="stable")]


def phase_planes(image: Any, step: int) -> Any:
    """Return planes (step, step, rows, columns) of an image (H, W).

    Plane (p, q) has the pixels whose column is p and whose row is q modulo the step. What is added to its right and
    below is 0.
    """
    height, width = image.shape
    rows = -(-height // step) + SPARE
    columns = -(-(width // step + SPARE) // LANES) * LANES
    padded = np.zeros((rows * step, columns * step), np.float32)
    padded[:height, :width] = image
    return np.ascontiguousarray(padded.reshape(rows, step, columns, step).transpose(3, 1, 0, 2))


@compiled("void(f4[::1], f4[::1], f4[::1])")
def _set_squares(ours: Any, theirs: Any, sums: Any) -> None:
    for n in range(sums.size):
        sums[n] = (ours[n] - theirs[n]) * (ours[n] - theirs[n])


@compiled("void(f4[::1], f4[::1], f4[::1])")
def _add_squares(ours: Any, theirs: Any, sums: Any) -> None:
    for n in range(sums.size):
        sums[n] += (ours[n] - theirs[n]) * (ours[n] - theirs[n])


@compiled("void(f4[::1], f4[::1], f4[::1], f4[::1])")
def _extend(begun: Any, ours: Any, theirs: Any, sums: Any) -> None:
    for n in range(sums.size):
        sums[n] = begun[n] + (ours[n] - theirs[n]) * (ours[n] - theirs[n])


@compiled("void(f4[::1], f4[::1], i8, i8, f4[::1])")
def _add_segments(whole: Any, part: Any, count: int, distance: int, sums: Any) -> None:
    """Add `count` whole segments, 1 or 2, and the part of the next one; segments are `distance` apart."""
    rest = part[count * distance :]
    if count == 1:
        for n in range(sums.size):
            sums[n] += whole[n] + rest[n]
    else:
        second = whole[distance:]
        for n in range(sums.size):
            sums[n] += whole[n] + second[n] + rest[n]


@compiled("void(f4[:, :, :, ::1], i8, i8, i8, f4[::1], f4[::1], f4[::1], f4[::1], f4[::1])")
def _compare(
    planes: Any, origin: int, dy: int, dx: int, part: Any, whole: Any, some: Any, every: Any, found: Any
) -> None:
    """Compute the sums of squared differences between all blocks and the blocks at a displacement.

    A block's rows are one or two whole segments of `step` rows, and the first rows of the next segment; its columns
    likewise. Squares are summed over the rows of a segment, then over segments, then over columns.

    Args:
        planes: The image's planes, from `phase_planes`.
        origin: Where the first block begins in a plane.
        dy: The displacement's rows.
        dx: Its columns.
        part: Working space: sums over the first rows of each segment.
        whole: Working space, as long: sums over all rows of each segment.
        some: Working space: sums over the rows of each block, and the first columns of each segment.
        every: Working space, as long: sums over the rows of each block, and all columns of each segment.
        found: The result, a sum for each block.

    """
    step, _, height, stride = planes.shape
    size = height * stride
    pixels = planes.reshape(planes.size)
    segments = SIDE // step
    first = SIDE % step
    part[:] = 0
    some[:] = 0
    for column in range(step):
        right = (dx + column) // step
        other_column = dx + column - right * step
        for row in range(step):
            down = (dy + row) // step
            other_row = dy + row - down * step
            place = (column * step + row) * size + origin
            ours = pixels[place : place + part.size]
            place = (other_column * step + other_row) * size + origin + down * stride + right
            theirs = pixels[place : place + part.size]
            if row == 0:
                _set_squares(ours, theirs, part if first else whole)
            elif row == first:
                _extend(part, ours, theirs, whole)
            else:
                _add_squares(ours, theirs, part if row < first else whole)
        if column == first:
            every[:] = some
        _add_segments(whole, part, segments, stride, some if column < first else every)
    found[:] = 0
    _add_segments(every, some, segments, 1, found)


@compiled("void(f4[::1], i4[::1], i8, f4, i4)")
def _insert(distances: Any, positions: Any, count: int, distance: float, position: int) -> None:
    """Insert a match into `count` sorted ones; the worst one is lost if there is no room."""
    place = min(count, distances.size - 1)
    while place > 0 and distances[place - 1] > distance:
        distances[place] = distances[place - 1]
        positions[place] = positions[place - 1]
        place -= 1
    distances[place] = distance
    positions[place] = position


@compiled("f4(f4[::1], f4[::1])")
def _most_gained(found: Any, worst: Any) -> Any:
    """Return by how much some neighbouring references' matches are better than their worst so far."""
    gained = np.float32(-1)
    for i in range(LANES):
        gained = max(gained, worst[i] - found[i])
    return gained


@compiled(
    "void(f4[:, ::1], f4[:, ::1], UniTuple(i8, 2), UniTuple(i8, 2), f4[:, :, ::1], i4[:, :, ::1], i4[:, ::1],"
    " i8, i8, i8)"
)
def _keep_better(
    found: Any, worst: Any, rows: Any, columns: Any, distances: Any, positions: Any, counts: Any, position: int,
    width: int, step: int,
) -> None:  # fmt: skip
    """Insert the matches at a displacement where they are better than the worst so far.

    Args:
        found: The sums of squared differences, for each reference.
        worst: The worst ones so far; -1 where there is no reference.
        rows: The first of the rows that have a match in the image, and the one after the last.
        columns: The same for columns.
        distances: As for `match`.
        positions: As for `match`.
        counts: The number of matches so far.
        position: The position of the match of the first reference.
        width: The width by which positions are numbered.
        step: The distance of references.

    """
    most = distances.shape[2]
    for row in range(rows[0], rows[1]):
        for start in range(columns[0] // LANES * LANES, columns[1], LANES):
            if _most_gained(found[row, start : start + LANES], worst[row, start : start + LANES]) <= 0:
                continue
            for column in range(max(start, columns[0]), min(start + LANES, columns[1])):
                if found[row, column] >= worst[row, column]:
                    continue
                _insert(
                    distances[row, column], positions[row, column], counts[row, column], found[row, column],
                    position + (row * width + column) * step,
                )  # fmt: skip
                counts[row, column] = min(counts[row, column] + 1, most)
                if counts[row, column] == most:
                    worst[row, column] = distances[row, column, most - 1]


@compiled(
    "void(f4[:, :, :, ::1], i8, i8, i8[:, ::1], UniTuple(i8, 2), UniTuple(i8, 2), f4,"
    " f4[:, :, ::1], i4[:, :, ::1], i4[:, ::1], i8)"
)
def match(
    planes: Any, top: int, left: int, moves: Any, low: Any, high: Any, limit: float,
    distances: Any, positions: Any, counts: Any, width: int,
) -> None:  # fmt: skip
    """Find the matches of references that are `step` pixels apart, 3 to 8.

    Args:
        planes: The image's planes, from `phase_planes`.
        top: The row of the first reference, a multiple of the step.
        left: Its column, a multiple of the step.
        moves: The displacements to try, from `displacements`.
        low: The first row and column at which a match may begin.
        high: The last row and column.
        limit: The sum of squared differences that a match must stay below.
        distances: The result: sums of squared differences, (rows, columns, most matches), the best first.
        positions: The result: the matches' positions as `row * width + column`, of the same shape.
        counts: The result: the number of matches, (rows, columns), a power of two.
        width: The width by which positions are numbered.

    """
    step, _, _, stride = planes.shape
    rows, columns, _ = distances.shape
    segments = SIDE // step
    found = np.empty((rows, stride), np.float32)
    sums = found.reshape(found.size)
    some = np.empty(sums.size + segments, np.float32)
    every = np.empty(some.size, np.float32)
    part = np.empty(some.size + segments * stride, np.float32)
    whole = np.empty(part.size, np.float32)
    worst = np.full((rows, stride), np.float32(-1))
    worst[:, :columns] = limit
    counts[:] = 0
    origin = top // step * stride + left // step
    for move in range(moves.shape[0]):
        dy = moves[move, 0]
        dx = moves[move, 1]
        first_row = max(0, -((top + dy - low[0]) // step))
        last_row = min(rows, (high[0] - top - dy) // step + 1)
        first = max(0, -((left + dx - low[1]) // step))
        last = min(columns, (high[1] - left - dx) // step + 1)
        if first_row >= last_row or first >= last:
            continue
        _compare(planes, origin, dy, dx, part, whole, some, every, sums)
        _keep_better(
            found, worst, (first_row, last_row), (first, last), distances, positions, counts,
            (top + dy) * width + left + dx, width, step,
        )  # fmt: skip
    for row in range(rows):
        for column in range(columns):
            power = 1
            while 2 * power <= counts[row, column]:
                power *= 2
            counts[row, column] = power
