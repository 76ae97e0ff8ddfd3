"""Heat maps of means, by method and noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mdnbench.results import grids
from mdnbench.util.drawing import VegaLite, name, number, values
from mdnbench_reports import style

if TYPE_CHECKING:
    from mdnbench.results.table import Column, Table

SQUARE = 76  # pixels: the width that a number needs


def drawing(tables: Sequence[Table], column: Column) -> VegaLite:
    """Return a heat map of means by method and noise.

    The fainter a square is, the further its mean is from that of the best method under that noise.

    Args:
        tables: The tables of the run, one per noise.
        column: The metric's column.

    """
    labels = grids.short([table.caption for table in tables])
    rows = [row | {"noise": labels[table.caption]} for table in tables for row in _squares(table, column)]
    x = style.names("noise", list(labels.values()), orient="top", labelAngle=0 if len(tables) <= 4 else -30)
    methods = dict.fromkeys(name for table in tables for name in table.names)  # a table may lack some methods
    opacity = number("near", scale={"domain": [0, 1], "range": [0.04, 0.6]}, legend=None)
    squares = {
        "mark": {"type": "rect", "color": style.ACCENT, "cornerRadius": 2, "stroke": style.PAPER, "strokeWidth": 2},
        "encoding": {"opacity": opacity, "description": name("label")},
    }
    means = {"mark": {"type": "text", "aria": False}, "encoding": {"text": name("shown")}}
    return {
        "data": values(rows),
        "encoding": {"x": x, "y": style.names("method", list(methods))},
        "layer": [squares, means],
        "width": max(style.WIDTH, SQUARE * len(tables)),
        "height": {"step": style.STEP},
    }


def _squares(table: Table, column: Column) -> Iterator[dict[str, Any]]:
    """Yield the data of the squares of one noise."""
    sign = 1 if column.direction == "higher" else -1
    cells = {method: cell for method, cell in table.column(column.name).items() if cell.value is not None}
    whole = [cell.value for cell in cells.values() if cell.value is not None and cell.mark != "partial"]
    scale = [sign * value for value in whole if math.isfinite(value)]
    for method, cell in cells.items():
        label = f"{method}, {table.caption}: {cell.text}"
        yield {"method": method, "near": _near(sign * (cell.value or 0.0), scale), "shown": cell.text, "label": label}


def _near(good: float, scale: Sequence[float]) -> float:
    """Return how close a value is to the best of a scale, from 0 to 1.

    A mean over only some of the images may be beyond the ends of the scale.
    """
    best, worst = max(scale, default=good), min(scale, default=good)
    if math.isinf(good) or best == worst:
        return float(good >= best)
    return min(1.0, max(0.0, (good - worst) / (best - worst))) ** 3
