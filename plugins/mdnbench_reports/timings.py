"""Timings as tables of texts: one for each condition that methods were timed under."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mdnbench.timing import summary
from mdnbench_reports.grid import Grid

if TYPE_CHECKING:
    from mdnbench.results import Results


def of(results: Results) -> list[Grid]:
    """The timing tables of a run, what there is to say below the last; without lines where no time was left for any."""
    record = results.timing
    if not record:
        return []
    titles, notes = summary.titles(record), summary.notes(record)
    grids = [
        Grid(summary.heading(record, group), titles, summary.cells(record, group)) for group in summary.groups(record)
    ]
    return [*grids[:-1], replace(grids[-1], notes=notes)] if grids else [Grid("Nothing was timed.", titles, [], notes)]
