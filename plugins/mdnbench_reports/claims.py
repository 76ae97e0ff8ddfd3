"""Comparisons of published and claimed numbers with the measured ones."""

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
    """A comparison of a run's numbers with published ones.

    Attributes:
        tables: The tables.
        notes: Notes on what limits the comparison.

    """

    tables: Sequence[Table]
    notes: Sequence[str]


def of(results: Results, *, images: bool = True) -> Section | None:
    """Return the comparison of a run with published and claimed numbers, means first.

    Args:
        results: The results of the run.
        images: Whether to include the numbers of single images.

    Returns:
        The comparison, or None if no number fits the run.

    """
    try:
        found = published.compare(results)
    except NothingToDo:
        return None
    return Section(published.tables_of(found, images=images), found.notes)
