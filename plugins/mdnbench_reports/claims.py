"""Published and claimed numbers beside the measured ones, as tables of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdnbench.errors import NothingToDo
from mdnbench_reports.grid import Grid

if TYPE_CHECKING:
    from mdnbench.results import Results


@dataclass(frozen=True, slots=True)
class Section:
    """What is said of a run's numbers beside printed ones: tables, and what to beware of."""

    grids: Sequence[Grid]
    notes: Sequence[str]


def of(results: Results, *, images: bool = True) -> Section | None:
    """The printed numbers that this run speaks to, means first; without `images` these alone. None where none are."""
    from mdnbench.analysis import published
    from mdnbench.analysis.published import texts

    try:
        found = published.compare(results)
    except NothingToDo:
        return None
    marks = texts.sources(texts.chosen(found, images=images))
    named = [f"{mark} {source}" for source, mark in marks.items()]
    grids = [
        Grid(title, *table, named if table.titles == texts.PUBLISHED else ())
        for title, table in texts.tables(found, images=images).items()
    ]
    return Section(grids, found.notes)
