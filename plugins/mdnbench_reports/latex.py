"""Write `tables.tex`: the tables of a run for a paper, a few noises next to each other, then timing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.results import tables
from mdnbench.results.render import latex
from mdnbench.util import atomic
from mdnbench_reports import timings

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.results.table import Table

SIDE_BY_SIDE = 3  # noises per table at most
ACROSS = 6  # columns of numbers that fit on an article's page


def write(results: Results, folder: Path) -> Path:
    """Write `tables.tex` and return its path."""
    path = folder / "tables.tex"
    atomic.write(path, text_of(results))
    return path


def text_of(results: Results) -> str:
    """Return all tables of a run as LaTeX that needs the package booktabs."""
    parts = [latex.PREAMBLE]
    columns = len(results.metrics) or 1
    step = max(1, min(SIDE_BY_SIDE, ACROSS // columns))
    for first in range(0, len(results.tables), step):
        parts.append(_side_by_side(results, results.tables[first : first + step], first // step + 1))
    timed = [table for table in (*timings.of(results), *timings.against_quality(results)) if table.rows]
    parts += [latex.render(table, f"{results.name}-timing-{number}") for number, table in enumerate(timed, start=1)]
    return "\n\n".join(parts) + "\n"


def _side_by_side(results: Results, group: Sequence[Table], number: int) -> str:
    """Return the tables of several noises as one float."""
    noises = ", ".join(table.caption for table in group)
    caption = f"Means under {noises}; {'; '.join(tables.heading(results.run))}."
    notes = [f"{table.caption}: {note}" if len(group) > 1 else note for table in group for note in table.notes]
    return latex.side_by_side(group, caption, f"{results.name}-{number}", [*notes, *tables.footnotes(results.run)])
