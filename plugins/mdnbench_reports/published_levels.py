"""Published levels in a plot of quality against time: lines across it, with their names in a column beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import altair as alt

from mdnbench_reports import label_placement, style

if TYPE_CHECKING:
    from mdnbench.results.table import Column
    from mdnbench.spec.timings import PublishedLevel

HEADING = "published"
WIDTH = style.WIDTH - 60  # of the plot itself, so that plot and names together stay readable on a phone
GAP = 12.0  # pixels from name to name
LEADER = 14.0  # pixels from the plot to the names, across which lines lead to names that had to make room


def layers(
    lines: Sequence[PublishedLevel], column: Column, ends: tuple[float, float], y: Callable[[str], Any]
) -> list[Any]:
    """What is drawn of levels: `ends` are the lowest and highest value in the plot, `y(field)` places one by its scale.

    The names stand where values beyond the plot's edge would: a name's height is told as a value.
    """
    rows = _rows(lines, column, *ends)
    plain: dict[str, Any] = {"align": "left", "baseline": "middle", "color": style.MUTED, "fontSize": 10}
    right, names = alt.value(WIDTH), alt.value(WIDTH + LEADER + 3)
    drawn = alt.Chart(alt.InlineData(values=rows[1:]))
    line = drawn.mark_rule(color=style.SOFT, strokeWidth=1)
    leader = drawn.mark_rule(color=style.SOFT, strokeWidth=1, aria=False)
    return [
        line.encode(x=alt.value(0), x2=right, y=y("value"), description="label:N"),
        leader.encode(x=right, x2=alt.value(WIDTH + LEADER), y=y("value"), y2="beside:Q"),
        drawn.mark_text(**plain).encode(x=names, y=y("beside"), text="name:N", description="label:N"),
        alt.Chart(alt.InlineData(values=rows[:1]))
        .mark_text(**plain, fontStyle="italic")
        .encode(x=names, y=y("beside"), text="name:N"),
    ]


def _rows(lines: Sequence[PublishedLevel], column: Column, low: float, high: float) -> list[dict[str, Any]]:
    """The heading of the names, and each line from high to low: its value, its name, and at which value that stands."""
    lines = sorted(lines, key=lambda line: -line.psnr)
    pixels = (label_placement.HEIGHT - 2 * label_placement.UP) / (high - low)  # of a unit
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
