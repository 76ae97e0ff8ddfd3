"""What `mdnbench compare --json` prints: the means and the pairs of methods, under each noise and by each metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdnbench.analysis.statistics.findings import Mean
from mdnbench.analysis.statistics.paired import Pair

if TYPE_CHECKING:
    from mdnbench.analysis.statistics import Comparison, Family
    from mdnbench.results.table import Column


@dataclass(frozen=True, slots=True)
class ColumnDocument:
    """A metric: its name, direction and unit, the digits that it is shown with, and why it has no values, if so."""

    metric: str
    direction: str
    unit: str
    digits: int
    absent: str


@dataclass(frozen=True, slots=True)
class FamilyDocument:
    """All methods under one noise by one metric, best first, and all their pairs, which are corrected together.

    Means over fewer cells than others come last. `missing` are the methods without a score.
    """

    noise: str
    column: ColumnDocument
    images: int
    seeds: int
    means: tuple[Mean, ...]
    pairs: tuple[Pair, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComparisonDocument:
    """The methods of one run, or of several that may be compared with each other."""

    runs: tuple[str, ...]
    dataset: str
    protocol: str
    families: tuple[FamilyDocument, ...]


def of(found: Comparison) -> ComparisonDocument:
    """Return the document of a comparison."""
    return ComparisonDocument(found.runs, found.dataset, found.protocol, tuple(map(_family, found.families)))


def _family(each: Family) -> FamilyDocument:
    column = _column(each.column)
    return FamilyDocument(each.noise, column, each.images, each.seeds, each.means, each.pairs, each.missing)


def _column(each: Column) -> ColumnDocument:
    return ColumnDocument(each.name, each.direction, each.unit, each.digits, each.absent)
