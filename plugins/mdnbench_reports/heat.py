"""Means by method and noise, as a heat map."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mdnbench.results import grids
from mdnbench_reports import style

if TYPE_CHECKING:
    from mdnbench.results.tables import Column, Table

SQUARE = 76  # pixels of width that a number needs


def drawing(tables: Sequence[Table], column: Column) -> Any:
    """Means by method and noise; the fainter a square, the further it is from the best method under that noise."""
    import altair as alt

    labels = grids.short([table.noise for table in tables])
    rows = [row | {"noise": labels[table.noise]} for table in tables for row in _squares(table, column)]
    x = style.names("x", "noise", list(labels.values()), orient="top", labelAngle=0 if len(tables) <= 4 else -30)
    y = style.names("y", "method", [line.method for line in tables[0].lines])
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x, y=y)
    opacity = alt.Opacity("near:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 0.6]), legend=None)
    squares = base.mark_rect(color=style.ACCENT, cornerRadius=2, stroke=style.PAPER, strokeWidth=2)
    numbers = base.mark_text(aria=False).encode(text="shown:N")
    width = max(style.WIDTH, SQUARE * len(tables))
    layered = alt.layer(squares.encode(opacity=opacity, description="label:N"), numbers)
    return layered.properties(width=width, height=alt.Step(style.STEP))


def _squares(table: Table, column: Column) -> Iterator[dict[str, Any]]:
    means = {line.method: value for line in table.lines if (value := line.means[column.metric]) is not None}
    finite = [value for value in means.values() if math.isfinite(value)]
    if not finite:
        return
    best, worst = (max(finite), min(finite)) if column.direction == "higher" else (min(finite), max(finite))
    for method, value in means.items():
        near = 1.0 if best == worst or not math.isfinite(value) else ((value - worst) / (best - worst)) ** 3
        shown = column.show(value)
        label = f"{method}, {table.noise}: {shown}"
        yield {"method": method, "near": near, "shown": shown, "label": label}
