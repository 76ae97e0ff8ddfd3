"""Published levels in a plot of quality against time: lines across the plot, with names in a column next to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mdnbench.util.drawing import VegaLite, name, values
from mdnbench_reports import label_placement, style

if TYPE_CHECKING:
    from mdnbench.results.table import Column
    from mdnbench.spec.timings import PublishedLevel

HEADING = "published"
WIDTH = style.WIDTH - 60  # of the plot without the names, because both together must be readable on a phone
GAP = 12.0  # pixels between two names
LEADER = 14.0  # pixels between plot and names, for lines to names that are not at their level's height


def layers(
    lines: Sequence[PublishedLevel], column: Column, ends: tuple[float, float], y: Callable[[str], VegaLite]
) -> list[VegaLite]:
    """Return the layers that draw published levels.

    A name's height is given as a value of the metric, which may be beyond the ends of the plot's scale.

    Args:
        lines: The published levels.
        column: The metric's column.
        ends: The lowest and the highest value in the plot.
        y: A function that returns the vertical encoding of a field.

    """
    rows = _rows(lines, column, *ends)
    text = {"type": "text", "align": "left", "baseline": "middle", "color": style.MUTED, "fontSize": 10}
    rule = {"type": "rule", "color": style.SOFT, "strokeWidth": 1}
    left, right, end = {"value": 0}, {"value": WIDTH}, {"value": WIDTH + LEADER}
    label = {"x": {"value": WIDTH + LEADER + 3}, "y": y("beside"), "text": name("name")}
    heading, levels = values(rows[:1]), values(rows[1:])
    across = {"x": left, "x2": right, "y": y("value"), "description": name("label")}
    leader = {"x": right, "x2": end, "y": y("value"), "y2": {"field": "beside"}}
    return [
        {"data": levels, "mark": rule, "encoding": across},
        {"data": levels, "mark": {**rule, "aria": False}, "encoding": leader},
        {"data": levels, "mark": text, "encoding": {**label, "description": name("label")}},
        {"data": heading, "mark": {**text, "fontStyle": "italic"}, "encoding": label},
    ]


def _rows(lines: Sequence[PublishedLevel], column: Column, low: float, high: float) -> list[dict[str, Any]]:
    """Return the data of the layers: the heading of the names, then the levels from high to low."""
    lines = sorted(lines, key=lambda line: -line.psnr)
    pixels = (label_placement.HEIGHT - 2 * label_placement.UP) / (high - low)  # pixels per unit of the metric
    wanted = [label_placement.UP + (high - line.psnr) * pixels for line in lines]
    places = label_placement.spaced([wanted[0] - GAP, *wanted], GAP, label_placement.HEIGHT)
    rows: list[dict[str, Any]] = [{"name": HEADING}]
    for line in lines:
        text = column.show(line.psnr)
        label = f"{line.method}, published and not measured here: {text}"
        rows.append({"name": f"{line.method} {text}", "value": line.psnr, "label": label})
    for row, place in zip(rows, places, strict=True):
        row["beside"] = high - (place - label_placement.UP) / pixels
    return rows
