"""The document of `mdnbench compare --json`: the means and the pairs of methods, under each noise, by each metric."""

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
    """A metric as a column of a table.

    Attributes:
        metric: Its name.
        direction: 'higher' or 'lower', whichever is better.
        unit: Its unit, empty if there is none.
        digits: The number of decimals that tables show.
        absent: Why it has no values; empty if it has.
    """

    metric: str
    direction: str
    unit: str
    digits: int
    absent: str


@dataclass(frozen=True, slots=True)
class FamilyDocument:
    """All methods under one noise by one metric, and all their pairs, whose p-values are corrected together.

    Attributes:
        images: The number of images with a score.
        seeds: The number of noise realisations per image.
        means: The means, best first. Means over fewer cells than others come last.
        pairs: The compared pairs.
        missing: The methods without a score.
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
    """The compared methods of one run, or of several runs that may be compared with each other."""

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
