"""Published and claimed numbers beside the measured ones, as tables of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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


def of(results: Results, *, images: bool = True) -> Section | None:
    """The printed numbers that this run speaks to, means first; without `images` these alone. None where none are."""
    from mdnbench import published
    from mdnbench.references import MEAN

    try:
        found = published.compare(results)
    except NothingToDo:
        return None
    chosen = [claim for claim in found.published if images or claim.reference.image == MEAN]
    means_first = sorted(chosen, key=lambda claim: claim.reference.image != MEAN)
    sources = {source: f"[{number}]" for number, source in enumerate(_sources(means_first), start=1)}
    grids = [
        Grid(
            "Published numbers",
            PUBLISHED,
            [_published(claim, sources) for claim in means_first],
            [f"{number} {source}" for source, number in sources.items()],
        ),
        Grid("The article's claims", ARTICLE, [_claimed(claim) for claim in found.article]),
        Grid("The order that they imply", ORDERS, [_order(each) for each in found.orders]),
    ]
    whose = [f"The claims are those of: {source}." for source in _sources(found.article)]
    return Section([grid for grid in grids if grid.rows], [*whose, *found.notes])


def _published(claim: Claim, sources: Mapping[str, str]) -> tuple[str, ...]:
    printed = claim.reference
    return (
        claim.method, printed.method, printed.noise, printed.image, claim.column.metric.upper(),
        claim.column.show(printed.value), claim.column.show(claim.measured), _signed(claim.difference, claim.column),
        claim.finding, sources[printed.source],
    )  # fmt: skip


def _claimed(claim: Claim) -> tuple[str, ...]:
    shown = (claim.column.show(claim.reference.value), claim.column.show(claim.measured))
    return (claim.method, claim.reference.noise, claim.column.metric.upper(), *shown, claim.verdict)


def _order(claim: OrderClaim) -> tuple[str, ...]:
    gains = (_signed(claim.claimed, claim.column), _signed(claim.measured, claim.column))
    return (f"{claim.better} over {claim.worse}", claim.noise, claim.column.metric.upper(), *gains, claim.finding)


def _sources(claims: Iterable[Claim]) -> list[str]:
    return list(dict.fromkeys(claim.reference.source for claim in claims))


def _signed(value: float | None, column: Column) -> str:
    return "–" if value is None else f"{value:+.{column.digits}f}".replace("-", "−")
