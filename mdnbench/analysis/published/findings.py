"""What became of published and claimed numbers, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from mdnbench.results import numbers
from mdnbench.results.references import MEAN, Reference
from mdnbench.results.render import html
from mdnbench.results.table import Cell, Column, Table, words

ALLOWED = 2  # times the metric's tolerance

Finding = Literal["reproduced", "above", "below", "not measured"]
Order = Literal["holds", "holds by less", "does not hold", "not measured"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A printed number and the measured one; `best` is the best published figure for the same thing, where known."""

    reference: Reference
    method: str
    column: Column
    measured: float | None
    allowed: float
    best: Reference | None = None

    @property
    def difference(self) -> float | None:
        """Measured less printed."""
        return None if self.measured is None else self.measured - self.reference.value

    @property
    def finding(self) -> Finding:
        """Whether the measurement reproduces the number, or is above or below it."""
        if self.difference is None:
            return "not measured"
        if abs(self.difference) <= self.allowed + 1e-9:
            return "reproduced"
        return "above" if self.difference > 0 else "below"

    @property
    def verdict(self) -> str:
        """The finding in words, and what speaks for or against the number itself."""
        unit = f" {self.column.unit}" if self.column.unit else ""
        if self.difference is None:
            return "not measured in this run"
        if self.finding == "reproduced":
            return "reproduced"
        sign = 1 if self.column.direction == "higher" else -1
        quality = "better" if sign * self.difference > 0 else "worse"
        text = f"not reproduced: measured {self.column.show(abs(self.difference))}{unit} {quality} than claimed"
        if self.best is not None and sign * (self.reference.value - self.best.value) > 0:
            text += (
                f"; the claim is beyond every published figure (best: {self.best.value:g}{unit}, {self.best.method})"
            )
        return text


@dataclass(frozen=True, slots=True)
class OrderClaim:
    """A claim that follows from two others: that one method is better than another, and by how much."""

    noise: str
    column: Column
    better: str
    worse: str
    claimed: float
    measured: float | None
    allowed: float

    @property
    def finding(self) -> Order:
        """Whether the measured gain has the claimed sign, and but for the metric's tolerance the claimed size."""
        if self.measured is None:
            return "not measured"
        if self.measured <= 0:
            return "does not hold"
        return "holds" if self.measured >= self.claimed - self.allowed / ALLOWED - 1e-9 else "holds by less"


@dataclass(frozen=True, slots=True)
class Claims:
    """What was found: published numbers, the article's, the orders that the article's imply, and what to beware of.

    `others` are published means for the same things of methods that the run does not have.
    """

    run: str
    published: tuple[Claim, ...]
    article: tuple[Claim, ...]
    orders: tuple[OrderClaim, ...]
    notes: tuple[str, ...]
    others: tuple[Reference, ...] = ()

    def _repr_html_(self) -> str:
        """Return the claims as a notebook shows them: the means, or single images where there are no others."""
        images = all(claim.reference.image != MEAN for claim in self.published)
        parts = [html.render(table) for table in tables_of(self, images=images)]
        return html.block([*parts, *map(html.paragraph, self.notes)])


# -- tables ------------------------------------------------------------------------------------------------------------


def tables_of(found: Claims, *, images: bool) -> list[Table]:
    """Return a table of published numbers for each noise, then the article's claims and the order that they imply.

    Args:
        found: What was compared.
        images: Whether the numbers of single images are shown after the means; if not, a note sums them up.

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
    return [*tables, *_article(found)]


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


def _article(found: Claims) -> Iterator[Table]:
    """The article's claims one by one, and the order of methods that they imply."""
    whose = [f"The claims are those of: {source}." for source in _each(each.reference.source for each in found.article)]
    claims = [
        [claim.method, claim.reference.noise, claim.column.name.upper(), claim.column.cell(claim.reference.value),
         claim.column.cell(claim.measured), claim.verdict]
        for claim in found.article
    ]  # fmt: skip
    columns = (words("Noise"), words("Metric"), Column("Claimed"), Column("Measured"), words("Verdict"))
    if claims:
        yield Table.of("The article's claims", (words("Method"), *columns), claims, whose)
    orders = [
        [f"{each.better} over {each.worse}", each.noise, each.column.name.upper(), _signed(each.claimed, each.column),
         _signed(each.measured, each.column), each.finding]
        for each in found.orders
    ]  # fmt: skip
    if orders:
        yield Table.of("The order that they imply", (words("Better by"), *columns), orders)


def _also(found: Claims, noise: str, sources: Mapping[str, str]) -> Iterator[str]:
    """One line per metric: what is published for the same thing of methods that the run has not, as it was printed."""
    for metric in _each(each.metric for each in found.others if each.noise == noise):
        others = [each for each in found.others if (each.noise, each.metric) == (noise, metric)]
        listed = ", ".join(f"{each.method} {each.value:g} {sources[each.source]}" for each in others)
        yield f"also published ({metric}), of methods that this run has not: {listed}"


def _summaries(found: Claims, noise: str) -> Iterator[str]:
    """One line for the images of each method, metric and source, of which the furthest is named."""
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
            f"{method} ({metric}) beside {name}, image by image: {good} of {len(group)} reproduced; furthest {far} on "
            f"image {furthest.reference.image} (`mdnbench claims --images` shows all)"
        )


def _each(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _signed(value: float | None, column: Column) -> Cell:
    return Cell(numbers.fixed(value, column.digits, signed=True), value)
