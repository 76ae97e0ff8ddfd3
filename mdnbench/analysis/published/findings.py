"""The results of comparing a run with published numbers, and their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from mdnbench.results import numbers
from mdnbench.results.references import MEAN, Reference
from mdnbench.results.render import html
from mdnbench.results.table import Cell, Column, Table, words

ALLOWED = 2  # the largest difference that counts as reproduced, in tolerances of the metric

Finding = Literal["reproduced", "above", "below", "not measured"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A published number and the value that was measured for it.

    Attributes:
        reference: The published number.
        method: The method as the run calls it.
        column: The metric, with its unit and digits.
        measured: The measured value, or None if the run has none.
        allowed: The largest difference that counts as reproduced, in the metric's unit.
    """

    reference: Reference
    method: str
    column: Column
    measured: float | None
    allowed: float

    @property
    def difference(self) -> float | None:
        """The measured value minus the published one, or None if nothing was measured."""
        return None if self.measured is None else self.measured - self.reference.value

    @property
    def finding(self) -> Finding:
        """Whether the measured value reproduces the published number, is above it or is below it."""
        if self.difference is None:
            return "not measured"
        if abs(self.difference) <= self.allowed + 1e-9:
            return "reproduced"
        return "above" if self.difference > 0 else "below"


@dataclass(frozen=True, slots=True)
class Claims:
    """The published numbers next to those of one run.

    Attributes:
        run: The run's name.
        published: The numbers that were compared.
        notes: Sentences about what affects the comparison.
        others: Published means for the same data, noise and metric, of methods that the run does not have.
    """

    run: str
    published: tuple[Claim, ...]
    notes: tuple[str, ...]
    others: tuple[Reference, ...] = ()

    def _repr_html_(self) -> str:
        """Return the claims as HTML for a notebook: the means, or single images if there are no means."""
        images = all(claim.reference.image != MEAN for claim in self.published)
        parts = [html.render(table) for table in tables_of(self, images=images)]
        return html.block([*parts, *map(html.paragraph, self.notes)])


# -- tables ------------------------------------------------------------------------------------------------------------


def tables_of(found: Claims, *, images: bool) -> list[Table]:
    """Return a table of published numbers for each noise.

    Args:
        found: The compared numbers.
        images: Whether to show the numbers of single images after the means. If not, a note summarises them.

    Returns:
        The tables. The last one has the list of sources among its notes.
    """
    shown = [claim for claim in found.published if images or claim.reference.image == MEAN]
    shown.sort(key=lambda claim: claim.reference.image != MEAN)
    references = [*(claim.reference for claim in found.published), *found.others]
    sources = {source: f"[{number}]" for number, source in enumerate(_each(r.source for r in references), start=1)}
    noises = list(_each(reference.noise for reference in references))
    tables = []
    for noise in noises:
        claims = [claim for claim in shown if claim.reference.noise == noise]
        notes = [*_also(found, noise, sources), *(() if images else _summaries(found, noise))]
        if noise == noises[-1]:
            notes += [f"{mark} {source}" for source, mark in sources.items()]
        table = _published(f"Published numbers · {noise}", claims, sources, notes)
        tables.append(table if images else table.without("Image"))
    return tables


def _published(caption: str, claims: list[Claim], sources: Mapping[str, str], notes: list[str]) -> Table:
    columns = [words("Method"), words("Printed as"), words("Image"), words("Metric"), Column("Printed"),
               Column("Measured"), Column("Change"), words("Finding"), words("Source")]  # fmt: skip
    rows = []
    for claim in claims:
        printed, column = claim.reference, claim.column
        rows.append([
            claim.method, printed.method, printed.image, column.name.upper(), column.cell(printed.value),
            column.cell(claim.measured), _signed(claim.difference, column), claim.finding, sources[printed.source],
        ])  # fmt: skip
    return Table.of(caption, columns, rows, notes)


def _also(found: Claims, noise: str, sources: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each metric with the published means, as printed, of methods that the run does not have."""
    for metric in _each(each.metric for each in found.others if each.noise == noise):
        others = [each for each in found.others if (each.noise, each.metric) == (noise, metric)]
        listed = ", ".join(f"{each.method} {each.value:g} {sources[each.source]}" for each in others)
        yield f"also published ({metric}), of methods that this run has not: {listed}"


def _summaries(found: Claims, noise: str) -> Iterator[str]:
    """Yield a line for each method, metric and source: how many images are reproduced, and which differs most."""
    groups: dict[tuple[str, str, str], list[Claim]] = {}
    for claim in found.published:
        reference = claim.reference
        if reference.noise == noise and reference.image != MEAN and claim.difference is not None:
            groups.setdefault((claim.method, reference.metric, reference.method), []).append(claim)
    for (method, metric, name), group in groups.items():
        furthest = max(group, key=lambda claim: abs(claim.difference or 0.0))
        good = sum(claim.finding == "reproduced" for claim in group)
        far = numbers.fixed(furthest.difference, furthest.column.digits, signed=True)
        yield (
            f"{method} ({metric}) and {name}, image by image: {good} of {len(group)} reproduced; furthest {far} on "
            f"image {furthest.reference.image} (`mdnbench claims --images` shows all)"
        )


def _each(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _signed(value: float | None, column: Column) -> Cell:
    return Cell(numbers.fixed(value, column.digits, signed=True), value)
