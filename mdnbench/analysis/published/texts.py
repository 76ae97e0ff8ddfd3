"""Published and claimed numbers beside the measured ones, as tables of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mdnbench.results import markup
from mdnbench.results.markup import Texts
from mdnbench.results.references import MEAN

if TYPE_CHECKING:
    from mdnbench.analysis.published.claims import Claim, Claims
    from mdnbench.results.tables import Column

PUBLISHED = ("Method", "Printed as", "Noise", "Image", "Metric", "Printed", "Measured", "Change", "Finding", "Source")


def tables(found: Claims, *, images: bool) -> dict[str, Texts]:
    """The tables by their titles, without empty ones; single images, if they are wanted, after the means."""
    shown = chosen(found, images=images)
    marks = sources(shown)
    return {"Published numbers": Texts(PUBLISHED, [_published(claim, marks) for claim in shown])} if shown else {}


def chosen(found: Claims, *, images: bool) -> list[Claim]:
    """The published numbers to show, means first."""
    shown = [claim for claim in found.published if images or claim.reference.image == MEAN]
    return sorted(shown, key=lambda claim: claim.reference.image != MEAN)


def sources(claims: Iterable[Claim]) -> dict[str, str]:
    """Where numbers are printed, each with its mark: `[1]`."""
    return {source: f"[{number}]" for number, source in enumerate(_each_source(claims), start=1)}


def html(found: Claims) -> str:
    """The claims as a notebook shows them: the means, or single images where there are no others."""
    images = all(claim.reference.image != MEAN for claim in found.published)
    parts = [markup.grid(*table, caption=title) for title, table in tables(found, images=images).items()]
    marked = [f"{mark} {source}" for source, mark in sources(chosen(found, images=images)).items()]
    return markup.block([*parts, *map(markup.paragraph, [*marked, *found.notes])])


def _published(claim: Claim, marks: Mapping[str, str]) -> tuple[str, ...]:
    printed = claim.reference
    return (
        claim.method, printed.method, printed.noise, printed.image, claim.column.metric.upper(),
        claim.column.show(printed.value), claim.column.show(claim.measured), _signed(claim.difference, claim.column),
        claim.finding, marks[printed.source],
    )  # fmt: skip


def _each_source(claims: Iterable[Claim]) -> Sequence[str]:
    return list(dict.fromkeys(claim.reference.source for claim in claims))


def _signed(value: float | None, column: Column) -> str:
    return "–" if value is None else f"{value:+.{column.digits}f}".replace("-", "−")
