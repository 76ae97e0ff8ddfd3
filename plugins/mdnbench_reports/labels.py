"""Where the labels of a scatter plot go, so that they cover neither points nor each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from mdnbench_reports import style

HEIGHT = 240
LETTER, LINE = 6.2, 14.0

# Text marks by place; `dx` and `dy` are pixels from the point.
MARKS: Mapping[str, dict[str, Any]] = {
    "above": {"align": "center", "baseline": "bottom", "dy": -7},
    "right": {"align": "left", "baseline": "middle", "dx": 8},
    "left": {"align": "right", "baseline": "middle", "dx": -8},
    "below": {"align": "center", "baseline": "top", "dy": 8},
}

Box = tuple[float, float, float, float]  # left, top, right, bottom


def placed(rows: Sequence[Mapping[str, Any]], direction: str) -> dict[str, list[Mapping[str, Any]]]:
    """The rows by the place of their label: the first of above, right, left and below that is free."""
    spots = _spots(rows)
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in spots]
    line = _steps([spot for spot, row in zip(spots, rows, strict=True) if row["front"]])
    found: dict[str, list[Mapping[str, Any]]] = {}
    for index, row in enumerate(rows):
        others = taken[:index] + taken[index + 1 :] + line
        boxes = {place: _box(place, *spots[index], len(row["method"])) for place in MARKS}
        place = min(MARKS, key=lambda place: _cost(boxes[place], others))
        taken.append(boxes[place])
        found.setdefault(place, []).append(row)
    return found


def _spots(rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Roughly where the points lie in the plot, in pixels."""
    across = _spread([math.log(row["seconds"]) for row in rows], style.WIDTH - 48.0)
    up = _spread([row["value"] for row in rows], HEIGHT - 36.0)
    return [(x + 24.0, HEIGHT - 18.0 - y) for x, y in zip(across, up, strict=True)]


def _steps(front: Sequence[tuple[float, float]]) -> list[Box]:
    """The stepped line through the points of the front, as thin boxes: across first, then up."""
    boxes: list[Box] = []
    for (x, y), (right, top) in pairwise(front):
        boxes += [(x, y - 1, right, y + 1), (right - 1, min(top, y), right + 1, max(top, y))]
    return boxes


def _spread(values: Sequence[float], length: float) -> list[float]:
    low, high = min(values, default=0.0), max(values, default=0.0)
    return [length * (value - low) / (high - low) if high > low else length / 2 for value in values]


def _box(place: str, x: float, y: float, letters: int) -> Box:
    width = min(LETTER * letters, style.LABEL_WIDTH)
    mark = MARKS[place]
    left = {"left": x + mark.get("dx", 0), "right": x + mark.get("dx", 0) - width, "center": x - width / 2}[
        mark["align"]
    ]
    top = {"middle": y - LINE / 2, "bottom": y + mark.get("dy", 0) - LINE, "top": y + mark.get("dy", 0)}[
        mark["baseline"]
    ]
    return (left, top, left + width, top + LINE)


def _cost(box: Box, taken: Sequence[Box]) -> float:
    """The area that a box shares with what is taken, and by how much it leaves the plot."""
    left, top, right, bottom = box
    outside = max(0.0, -left) + max(0.0, right - style.WIDTH) + max(0.0, -top) + max(0.0, bottom - HEIGHT)
    shared = sum(
        max(0.0, min(right, other[2]) - max(left, other[0])) * max(0.0, min(bottom, other[3]) - max(top, other[1]))
        for other in taken
    )
    return shared + 20 * outside
