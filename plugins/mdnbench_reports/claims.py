"""Published and claimed numbers beside the measured ones, as tables of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdnbench.errors import NothingToDo
from mdnbench_reports.grid import Grid

if TYPE_CHECKING:
    from mdnbench.published import Claim, OrderClaim
    from mdnbench.results import Results
    from mdnbench.results.tables import Column

PUBLISHED = ("Method", "Printed as", "Noise", "Image", "Metric", "Printed", "Measured", "Change", "Finding", "Source")
ARTICLE = ("Method", "Noise", "Metric", "Claimed", "Measured", "Verdict")
ORDERS = ("Claim", "Noise", "Metric", "Claimed gain", "Measured gain", "Verdict")


@dataclass(frozen=True, slots=True)
class Section:
    """What is said of a run's numbers beside printed ones: tables, and what to beware of."""

    grids: Sequence[Grid]
    notes: Sequence[str]


def of(results: Results) -> Section | None:
    """The printed numbers that this run speaks to; None where there are none."""
    from mdnbench import published
    from mdnbench.references import MEAN

    try:
        found = published.compare(results)
    except NothingToDo:
        return None
    means_first = sorted(found.published, key=lambda claim: claim.reference.image != MEAN)
    grids = [
        Grid("Published numbers", PUBLISHED, [_published(claim) for claim in means_first]),
        Grid("The article's claims", ARTICLE, [_claimed(claim) for claim in found.article]),
        Grid("The order that they imply", ORDERS, [_order(each) for each in found.orders]),
    ]
    return Section([grid for grid in grids if grid.rows], [*_sources(found.article), *found.notes])


def _published(claim: Claim) -> tuple[str, ...]:
    printed = claim.reference
    return (
        claim.method, printed.method, printed.noise, printed.image, claim.column.metric.upper(),
        claim.column.show(printed.value), claim.column.show(claim.measured), _signed(claim.difference, claim.column),
        claim.finding, printed.source,
    )  # fmt: skip


def _claimed(claim: Claim) -> tuple[str, ...]:
    shown = (claim.column.show(claim.reference.value), claim.column.show(claim.measured))
    return (claim.method, claim.reference.noise, claim.column.metric.upper(), *shown, claim.verdict)


def _order(claim: OrderClaim) -> tuple[str, ...]:
    gains = (_signed(claim.claimed, claim.column), _signed(claim.measured, claim.column))
    return (f"{claim.better} over {claim.worse}", claim.noise, claim.column.metric.upper(), *gains, claim.finding)


def _sources(claims: Sequence[Claim]) -> Iterator[str]:
    for source in dict.fromkeys(claim.reference.source for claim in claims):
        yield f"The claims are those of: {source}."


def _signed(value: float | None, column: Column) -> str:
    return "–" if value is None else f"{value:+.{column.digits}f}"
