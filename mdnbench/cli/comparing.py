"""`mdnbench compare`: paired statistics between methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from mdnbench.analysis.statistics.findings import Mean
from mdnbench.analysis.statistics.paired import Pair
from mdnbench.cli import completing as tab
from mdnbench.cli import options as o
from mdnbench.spec.names import split_list

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


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="A run's name or folder; several are compared with each other.", autocompletion=tab.one("runs")
        ),
    ],
    metrics: Annotated[
        str | None,
        typer.Option(help="Only these metrics, by comma. [default: the run's]", autocompletion=tab.several("metrics")),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Only pairs with this method, corrected as such.", autocompletion=tab.one("methods")),
    ] = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Show every pair, however many.")] = False,
    json: o.Json = False,
) -> None:
    """Compare methods image by image: intervals, paired differences, tests, and what this data set could show.

    Example: mdnbench compare set12-gaussian-50 --metrics psnr
    """
    from mdnbench import api
    from mdnbench.analysis import statistics
    from mdnbench.cli import draw, progress
    from mdnbench.results.render import terminal

    with progress.waiting(f"comparing {', '.join(runs)}"):
        found = api.compare(*map(api.open_run, runs), metrics=split_list(metrics or ""), against=against or "")
    if json:
        draw.data("compare", document_of(found))
        return
    terminal.say(found.heading)
    for family in found.families:
        for table in statistics.tables_of(family, all_pairs=all_pairs):
            terminal.render(table)


def document_of(found: Comparison) -> ComparisonDocument:
    """Return the document of a comparison."""
    return ComparisonDocument(found.runs, found.dataset, found.protocol, tuple(map(_family, found.families)))


def _family(each: Family) -> FamilyDocument:
    column = _column(each.column)
    return FamilyDocument(each.noise, column, each.images, each.seeds, each.means, each.pairs, each.missing)


def _column(each: Column) -> ColumnDocument:
    return ColumnDocument(each.name, each.direction, each.unit, each.digits, each.absent)
