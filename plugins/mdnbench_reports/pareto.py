"""Charts of quality against time: a point per method, a line through the front, and published levels.

The front consists of the methods that no other method beats in both.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdnbench.results import tables
from mdnbench.timing import quality, summary
from mdnbench.util.drawing import VegaLite, name, number, values
from mdnbench_reports import label_placement, published_levels, style

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.results.table import Column, Table
    from mdnbench.spec.timings import PublishedLevel

FASTEST_S = 1e-3  # faster methods are drawn here


@dataclass(frozen=True, slots=True)
class SecondsByMethod:
    """Seconds by method, and the title that describes them."""

    seconds: Mapping[str, float]
    title: str


def clock_of(results: Results) -> SecondsByMethod | None:
    """Return the median seconds under the first condition that was timed; None if it lacks a method."""
    record = results.timing
    if not record:
        return None
    group = next(iter(summary.groups(record)), "")
    seconds = {each.name: each.stats.median for each in record.benchmarks if each.group == group}
    whole = all(name in seconds for table in results.tables for name in table.names)
    condition = ", ".join(group.split(", ")[:2])
    return SecondsByMethod(seconds, f"seconds per call ({condition}), log scale") if whole else None


def drawing(
    column: Column,
    table: Table,
    clock: SecondsByMethod | None,
    idle: Collection[str] = (),
    published: Sequence[PublishedLevel] = (),
) -> VegaLite:
    """Return the chart of quality against time, in which a line joins the methods that no other beats in both.

    Args:
        column: The metric's column.
        table: The table of the noise.
        clock: The timed seconds; without them, the seconds while the run was computing.
        idle: Methods that change nothing. They are left out, because their points would compress all others.
        published: The published levels, which are lines across the plot.

    """
    rows = _timed(column, table, clock, idle)
    title = clock.title if clock else "seconds per image while running (indicative), log scale"
    across = {"type": "log", "nice": False, "padding": label_placement.ACROSS}
    x = number("seconds", title=title, scale=across, axis=_log_axis(rows))
    width = published_levels.WIDTH if published else style.WIDTH
    heights = [line.psnr for line in published]
    ends = _ends([*(row["value"] for row in rows), *heights])
    shown = {"domain": ends, "nice": False} if published else {"zero": False}
    up = {"padding": label_placement.UP, **shown}

    def y(field: str) -> VegaLite:
        return number(field, title=column.title, scale=up, axis={"tickCount": 5})

    parts = published_levels.layers(published, column, ends, y) if published else []
    parts += _points(rows, x, y("value"))
    for place, group in label_placement.placed(rows, width, heights).items():
        text = {"type": "text", **label_placement.MARKS[place], "limit": style.LABEL_WIDTH}
        encoding = {"x": x, "y": y("value"), "text": name("method")}
        parts.append({"data": values(group), "mark": text, "encoding": encoding})
    return {"layer": parts, "width": width, "height": label_placement.HEIGHT}


def _points(rows: Sequence[Mapping[str, Any]], x: VegaLite, y: VegaLite) -> list[VegaLite]:
    """Return the layers with a point for every method and the line through the front."""
    colour = {"condition": {"test": "datum.front", "value": style.ACCENT}, "value": style.MUTED}
    steps = {"interpolate": "step-after", "strokeWidth": 1, "strokeDash": [3, 3]}
    front = {
        "data": values([row for row in rows if row["front"]]),
        "mark": {"type": "line", "color": style.ACCENT, "aria": False, **steps},
        "encoding": {"x": x, "y": y},
    }
    points = {
        "data": values(rows),
        "mark": {"type": "circle", "size": 60, "opacity": 1},
        "encoding": {"x": x, "y": y, "color": colour, "description": name("label")},
    }
    return [front, points]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest value, widened if they are equal."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _timed(
    column: Column, table: Table, clock: SecondsByMethod | None, idle: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Return the data of the points: the methods with a finite mean over all cells, and with seconds."""
    while_running = {name: cell.value for name, cell in table.column(tables.SECONDS.name).items()}
    known: Mapping[str, float | None] = clock.seconds if clock else while_running
    rows: list[dict[str, Any]] = []
    for method, cell in table.column(column.name).items():
        value, seconds = cell.value, known.get(method)
        if method in idle or cell.mark == "partial" or value is None or seconds is None or not math.isfinite(value):
            continue
        label = f"{method}: {cell.text} in {seconds:.3g} s"
        rows.append({"method": method, "value": value, "seconds": max(seconds, FASTEST_S), "label": label})
    sign = 1 if column.direction == "higher" else -1
    best = quality.front({row["method"]: (sign * row["value"], row["seconds"]) for row in rows})
    for row in rows:
        row["front"] = row["method"] in best
    return sorted(rows, key=lambda row: float(row["seconds"]))


def _log_axis(rows: Sequence[Mapping[str, Any]]) -> VegaLite:
    """Return an axis with ticks at powers of ten if these are enough, otherwise at 1, 2 and 5 as well."""
    seconds = [row["seconds"] for row in rows] or [1.0]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    steps = (1,) if high - low > 2 else (1, 2, 5)
    return {"values": [step * 10.0**power for power in range(low, high + 1) for step in steps], "format": "~g"}
