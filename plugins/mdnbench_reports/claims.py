"""Published and claimed numbers beside the measured ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdnbench.analysis import published
from mdnbench.errors import NothingToDo

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.results.table import Table


@dataclass(frozen=True, slots=True)
class Section:
    """What is said of a run's numbers beside printed ones: tables, and what to beware of."""

    tables: Sequence[Table]
    notes: Sequence[str]


def of(results: Results, *, images: bool = True) -> Section | None:
    """The printed numbers that this run speaks to, means first; without `images` these alone. None where none are."""
    try:
        found = published.compare(results)
    except NothingToDo:
        return None
    return Section(published.tables_of(found, images=images), found.notes)
