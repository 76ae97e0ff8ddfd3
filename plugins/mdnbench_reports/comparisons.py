"""Whether the best method is really better than the others: its paired differences to them, image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdnbench.analysis import statistics
from mdnbench.errors import NothingToDo

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.results.table import Table

MOST_PAIRS = 3000  # over all noises; testing more pairs would take longer than the rest of the page


def of(results: Results) -> list[list[Table]]:
    """Return for each noise the tables that compare the methods by the first metric; empty for a single method."""
    first = next((name for name in results.metrics if name not in results.run.facts.unavailable), None)
    if first is None or left_out(results):
        return []
    try:
        families = statistics.compare([results], metrics=(first,)).families
    except NothingToDo:
        return []
    return [statistics.tables_of(family) for family in families if family.pairs]


def left_out(results: Results) -> int:
    """Return the number of pairs of methods under all noises if they are too many for a page, otherwise 0."""
    methods, noises = len(results.run.facts.methods), len(results.run.facts.noises)
    pairs = noises * methods * (methods - 1) // 2
    return pairs if pairs > MOST_PAIRS else 0
