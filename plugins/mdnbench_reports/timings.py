"""Timings as tables of texts: one for each condition that methods were timed under."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mdnbench.timing import summary
from mdnbench_reports.grid import Grid

if TYPE_CHECKING:
    from mdnbench.results import Results


def of(results: Results) -> list[Grid]:
    """The timing tables of a run, what there is to say of them below the last; none where nothing was timed."""
    record = results.timing
    if not record:
        return []
    grids = [
        Grid(summary.heading(record, group), summary.titles(record), summary.cells(record, group))
        for group in summary.groups(record) or [""]
    ]
    return [*grids[:-1], replace(grids[-1], notes=summary.notes(record))]
