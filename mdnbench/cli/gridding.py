"""Grids on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mdnbench.results import grids

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from mdnbench.results import Results
    from mdnbench.results.grids import Grid

# From the worst under a noise to the best, legible on dark and light terminals: each has its own foreground.
SHADES = ("white on #440154", "white on #3b528b", "white on #21708c", "black on #5ec962", "black on #fde725")

Table = Callable[..., Any]  # how a table is printed: titles, rows


def draw_grids(console: Console, results: Results, table: Table) -> None:
    """One grid per metric, in place of a table per noise: a heat map where the terminal has colours."""
    for grid in grids.of_run(results.run, results.means):
        titles, rows = grids.layout(grid)
        console.print(grid.column.title, style="bold", markup=False)
        table(titles, [(label, *(_square(grid, *place) for place in places)) for label, places in rows])
    legend = "* best under its noise; the brighter, the nearer to it; the tables of each noise are in table.md"
    console.print(legend, style="dim", markup=False)
    for each in results.tables:
        for note in each.notes:
            console.print(f"{each.noise}: {note}", style="yellow", markup=False, soft_wrap=True)


def _square(grid: Grid, method: str, noise: str) -> Text:
    from rich.text import Text

    near, shown = grid.near(method, noise), grid.show(method, noise)
    return Text(shown) if near is None else Text(shown, SHADES[round(near * (len(SHADES) - 1))])


def draw_knowledge(console: Console, results: Results, table: Table) -> None:
    """What methods gain from being told about the noise, where runs with other noise information are stored."""
    known = grids.by_noise_info(results)
    rows = [row for row in known.rows if row.matters] if known else []
    if known is None or not rows:
        return
    first = rows[0].column.metric
    console.print(f"noise information · {rows[0].column.title}", style="bold", markup=False)
    shown = [
        (row.method, row.noise, *(row.column.show(row.means.get(source)) for source in known.runs))
        for row in rows
        if row.column.metric == first
    ]
    table(("Method", "Noise", *known.runs), shown)
    others = ", ".join(f"{name} ({source})" for source, name in known.runs.items() if name != results.name)
    console.print(f"beside {others}; methods that it makes no difference to are left out", style="dim", markup=False)
