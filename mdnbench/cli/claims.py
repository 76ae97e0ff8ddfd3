"""`mdnbench claims`: published and claimed numbers next to the measured ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdnbench import api
from mdnbench.analysis import published
from mdnbench.cli import draw
from mdnbench.cli import options as o
from mdnbench.results.render import terminal

if TYPE_CHECKING:
    from mdnbench.analysis.published import Claim, Claims


def claims(
    name: o.RunName,
    references: Annotated[
        list[Path] | None, typer.Option(help="A CSV file of more published numbers; repeatable.")
    ] = None,
    images: Annotated[bool, typer.Option("--images", help="Show every image, not the means alone.")] = False,
    json: o.Json = False,
) -> None:
    """Compare a run's numbers with published ones.

    Example: mdnbench claims set12-gaussian-50
    """
    found = api.claims(api.open_run(name), references=references or [])
    if json:
        draw.data("claims", document_of(found))
        return
    for table in published.tables_of(found, images=images):
        terminal.render(table)
    for note in found.notes:
        terminal.say(note)


@dataclass(frozen=True, slots=True)
class ClaimDocument:
    """A published number and the measured one.

    Attributes:
        method: The method as the run calls it.
        published_as: The method as the publication calls it.
        image: The image, or 'mean' for the mean over all images.
        published: The published number.
        measured: The measured number, or null if there is none.
        difference: The measured number minus the published one.
        allowed: The largest difference that counts as reproduced.
        finding: 'reproduced', 'above', 'below' or 'not measured'.
        source: Where the number was published.
    """

    method: str
    published_as: str
    dataset: str
    noise: str
    image: str
    metric: str
    published: float
    measured: float | None
    difference: float | None
    allowed: float
    finding: str
    source: str


@dataclass(frozen=True, slots=True)
class OtherDocument:
    """A published mean of a method that the run does not have."""

    published_as: str
    noise: str
    metric: str
    published: float
    source: str


@dataclass(frozen=True, slots=True)
class ClaimsDocument:
    """A run's numbers next to published ones.

    Attributes:
        others: Published means of methods that the run does not have.
    """

    run: str
    published: tuple[ClaimDocument, ...]
    others: tuple[OtherDocument, ...]
    notes: tuple[str, ...]


def document_of(found: Claims) -> ClaimsDocument:
    """Return the document of claims."""
    return ClaimsDocument(
        run=found.run,
        published=tuple(map(_claim, found.published)),
        others=tuple(
            OtherDocument(each.method, each.noise, each.metric, each.value, each.source) for each in found.others
        ),
        notes=tuple(found.notes),
    )


def _claim(claim: Claim) -> ClaimDocument:
    reference = claim.reference
    return ClaimDocument(
        claim.method, reference.method, reference.dataset, reference.noise, reference.image, reference.metric,
        reference.value, claim.measured, claim.difference, claim.allowed, claim.finding, reference.source,
    )  # fmt: skip
