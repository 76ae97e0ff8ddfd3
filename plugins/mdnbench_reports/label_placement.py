"""Place the labels of a scatter plot where they cover neither points nor lines nor each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import mean
from typing import Any

from mdnbench_reports import style

HEIGHT = 240
ACROSS, UP = 24.0, 18.0  # pixels between the plot's edge and the outermost points
LETTER, LINE = 6.2, 14.0  # pixels: the average width of a letter, and the height of a line

# Options of text marks by the place of the label; `dx` and `dy` are pixels from the point.
MARKS: Mapping[str, dict[str, Any]] = {
    "above": {"align": "center", "baseline": "bottom", "dy": -7},
    "right": {"align": "left", "baseline": "middle", "dx": 8},
    "left": {"align": "right", "baseline": "middle", "dx": -8},
    "below": {"align": "center", "baseline": "top", "dy": 8},
}

LabelBox = tuple[float, float, float, float]  # left, top, right, bottom


def placed(
    rows: Sequence[Mapping[str, Any]], width: int, levels: Sequence[float] = ()
) -> dict[str, list[Mapping[str, Any]]]:
    """Return the rows by the place of their label: the first of above, right, left and below that is free.

    Args:
        rows: The points with their methods, seconds and values.
        width: The width of the plot, in pixels.
        levels: The values at which lines cross the plot.

    """
    spots = _spots(rows, width, levels)
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in spots[: len(rows)]]
    line = _steps([spot for spot, row in zip(spots, rows, strict=False) if row["front"]])
    line += [(0.0, y - 0.1, float(width), y + 0.1) for _, y in spots[len(rows) :]]  # names may cross pale lines
    found: dict[str, list[Mapping[str, Any]]] = {}
    for index, row in enumerate(rows):
        others = taken[:index] + taken[index + 1 :] + line
        boxes = {place: _box(place, *spots[index], len(row["method"])) for place in MARKS}
        place = min(MARKS, key=lambda place: _cost(boxes[place], width, others))
        taken.append(boxes[place])
        found.setdefault(place, []).append(row)
    return found


def spaced(wanted: Sequence[float], gap: float, length: float) -> list[float]:
    """Return places on a line, at least `gap` apart and as close as possible to the wanted ones, in the same order.

    Args:
        wanted: The wanted places, in rising order.
        gap: The smallest distance between two places. It is smaller if the line is too short.
        length: The length of the line.

    """
    gap = min(gap, length / max(1, len(wanted)))
    blocks: list[list[float]] = []  # blocks of places that touch: without their gaps, each block is one place
    for index, place in enumerate(wanted):
        blocks.append([place - index * gap])
        while len(blocks) > 1 and mean(blocks[-2]) > mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    free = [mean(block) for block in blocks for _ in block]
    room = length - gap * (len(wanted) - 1)
    return [min(max(0.0, place), room) + index * gap for index, place in enumerate(free)]


def _spots(rows: Sequence[Mapping[str, Any]], width: int, levels: Sequence[float]) -> list[tuple[float, float]]:
    """Return the approximate positions of the points in the plot, in pixels, and then the levels.

    The horizontal position of a level has no meaning.
    """
    across = _spread([math.log(row["seconds"]) for row in rows], width - 2 * ACROSS)
    up = _spread([*(row["value"] for row in rows), *levels], HEIGHT - 2 * UP)
    return [(x + ACROSS, HEIGHT - UP - y) for x, y in zip([*across, *(0.0 for _ in levels)], up, strict=True)]


def _steps(front: Sequence[tuple[float, float]]) -> list[LabelBox]:
    """Return the stepped line through the points of the front as thin boxes: first to the right, then up."""
    boxes: list[LabelBox] = []
    for (x, y), (right, top) in pairwise(front):
        boxes += [(x, y - 1, right, y + 1), (right - 1, min(top, y), right + 1, max(top, y))]
    return boxes


def _spread(values: Sequence[float], length: float) -> list[float]:
    """Return values scaled to a length, from the lowest to the highest."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    return [length * (value - low) / (high - low) if high > low else length / 2 for value in values]


def _box(place: str, x: float, y: float, letters: int) -> LabelBox:
    """Return the box that a label of so many letters covers at a place next to its point."""
    width = min(LETTER * letters, style.LABEL_WIDTH)
    mark = MARKS[place]
    left = {"left": x + mark.get("dx", 0), "right": x + mark.get("dx", 0) - width, "center": x - width / 2}[
        mark["align"]
    ]
    top = {"middle": y - LINE / 2, "bottom": y + mark.get("dy", 0) - LINE, "top": y + mark.get("dy", 0)}[
        mark["baseline"]
    ]
    return (left, top, left + width, top + LINE)


def _cost(box: LabelBox, width: int, taken: Sequence[LabelBox]) -> float:
    """Return the area that a box shares with others, plus a penalty for the length by which it leaves the plot."""
    left, top, right, bottom = box
    outside = max(0.0, -left) + max(0.0, right - width) + max(0.0, -top) + max(0.0, bottom - HEIGHT)
    shared = sum(
        max(0.0, min(right, other[2]) - max(left, other[0])) * max(0.0, min(bottom, other[3]) - max(top, other[1]))
        for other in taken
    )
    return shared + 20 * outside
