"""`mdnbench claims`: published and claimed numbers beside the measured ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdnbench.cli import options as o
from mdnbench.results.references import MEAN

if TYPE_CHECKING:
    from mdnbench.analysis.published import Claim, Claims

TITLES = ("Method", "Called", "Metric", "Image", "Printed", "Measured", "Change", "Finding", "")


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
    from mdnbench import api
    from mdnbench.cli import draw

    found = api.claims(api.open_run(name), references=references or [])
    if json:
        draw.data("claims", document_of(found))
    else:
        _draw(found, images=images)


@dataclass(frozen=True, slots=True)
class ClaimDocument:
    """A printed number (`published`) and the measured one; `difference` is measured less printed.

    `finding` says whether they agree but for `allowed`.
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
    """A run's numbers next to published ones."""

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


def _draw(found: Claims, *, images: bool) -> None:
    from mdnbench.cli import draw

    _draw_published(found, images=images)
    for note in found.notes:
        draw.say(note)


def _draw_published(found: Claims, *, images: bool) -> None:
    from mdnbench.cli import draw

    claims = [claim for claim in found.published if images or claim.reference.image == MEAN]
    references = [*(claim.reference for claim in found.published), *found.others]
    sources = {source: f"[{number}]" for number, source in enumerate(_each(r.source for r in references), start=1)}
    for noise in _each(each.noise for each in (*(claim.reference for claim in claims), *found.others)):
        draw.say(f"\n{noise}")
        rows = [(*_texts(claim), sources[claim.reference.source]) for claim in claims if claim.reference.noise == noise]
        whole = [TITLES, *rows] if images else [(*row[:3], *row[4:]) for row in (TITLES, *rows)]
        if rows:
            draw.table(whole[0], whole[1:], left=4 if images else 3, words=("Finding",))
        for line in _also(found, noise, sources):
            draw.say(line)
    for line in _summaries(found.published) if not images else ():
        draw.say(line)
    for source, mark in sources.items():
        draw.say(f"{mark} {source}")


def _each(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _also(found: Claims, noise: str, sources: Mapping[str, str]) -> Iterator[str]:
    """One line per metric: what is published for the same thing of methods that the run has not, as it was printed."""
    for metric in _each(each.metric for each in found.others if each.noise == noise):
        others = [each for each in found.others if (each.noise, each.metric) == (noise, metric)]
        listed = ", ".join(f"{each.method} {each.value:g} {sources[each.source]}" for each in others)
        yield f"also published ({metric}), of methods that this run has not: {listed}"


def _texts(claim: Claim) -> tuple[str, ...]:
    digits, reference = claim.column.digits, claim.reference
    difference = "–" if claim.difference is None else f"{claim.difference:+.{digits}f}"
    return (
        claim.method, reference.method, reference.metric, reference.image, f"{reference.value:.{digits}f}",
        claim.column.show(claim.measured), difference, claim.finding,
    )  # fmt: skip


def _summaries(claims: Sequence[Claim]) -> list[str]:
    """One line for the images of each method, noise, metric and source, of which the furthest is named."""
    groups: dict[tuple[str, str, str, str], list[Claim]] = {}
    for claim in claims:
        if claim.reference.image != MEAN and claim.difference is not None:
            key = (claim.method, claim.reference.noise, claim.reference.metric, claim.reference.method)
            groups.setdefault(key, []).append(claim)
    lines = []
    for (method, noise, metric, name), group in groups.items():
        furthest = max(group, key=lambda claim: abs(claim.difference or 0.0))
        good = sum(claim.finding == "reproduced" for claim in group)
        far = f"{furthest.difference:+.{furthest.column.digits}f} on image {furthest.reference.image}"
        lines.append(
            f"{method} ({noise}, {metric}) beside {name}, image by image: {good} of {len(group)} reproduced; "
            f"furthest {far} (--images shows all)"
        )
    return lines
