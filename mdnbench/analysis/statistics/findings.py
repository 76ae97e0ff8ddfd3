"""The results of comparing methods: means with intervals, pairs, their tables, and notes on how reliable they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mdnbench.analysis.statistics import bootstrap, paired
from mdnbench.analysis.statistics.paired import Pair
from mdnbench.results import numbers
from mdnbench.results.render import html
from mdnbench.results.table import Column, Table, words
from mdnbench.spec.names import counted

SHOWN = 15  # pairs; if there are more, only those with the best method are shown
FEW_IMAGES = 30  # with fewer images, a note gives the true coverage of the intervals


@dataclass(frozen=True, slots=True)
class Mean:
    """A method's mean over the cells that have a finite value.

    If every value is infinite, such as the PSNR of a perfect method, the mean is infinite.

    Attributes:
        method: The method.
        mean: The mean.
        low: The lower end of its 95 % interval, or None if fewer than two images have a finite value.
        high: The upper end of the interval, or None.
        images: The number of images with a finite value.
        cells: The number of cells with a finite value.
        infinite: The number of cells with an infinite value.
    """

    method: str
    mean: float
    low: float | None
    high: float | None
    images: int
    cells: int
    infinite: int

    def covers(self, cells: int) -> bool:
        """Return whether the mean is over this number of cells, or all of them are infinite."""
        return self.cells + self.infinite == cells and 0 in (self.cells, self.infinite)


@dataclass(frozen=True, slots=True)
class Family:
    """All methods under one noise by one metric, and all their pairs, whose p-values are corrected together.

    Attributes:
        images: The number of images with a score.
        seeds: The number of noise realisations per image.
        means: The means, best first. Means over fewer cells than others come last, as they do in tables.
        pairs: The compared pairs.
        missing: The methods without a score.
    """

    noise: str
    column: Column
    images: int
    seeds: int
    means: tuple[Mean, ...]
    pairs: tuple[Pair, ...]
    missing: tuple[str, ...] = ()

    @property
    def detectable(self) -> tuple[float, float] | None:
        """The smallest detectable difference, as a range over the pairs; None if no pair has one."""
        known = [pair.detectable for pair in self.pairs if pair.detectable]  # 0: two methods that never differ
        return (min(known), max(known)) if known else None

    @property
    def testable(self) -> bool:
        """Whether any difference can be significant with this number of images, after the correction for all tests."""
        many = sum(pair.p is not None for pair in self.pairs)
        return paired.smallest_p(self.images, many) <= paired.ALPHA

    def record(self, first: str, second: str) -> str:
        """Return how often `first` won, tied and lost against `second`, such as '9/1/2'.

        The text is empty if the two were not compared.
        """
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair.record
            if (pair.second, pair.first) == (first, second):
                return f"{pair.losses}/{pair.ties}/{pair.wins}"
        return ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The compared methods of one run, or of several runs that may be compared with each other."""

    runs: tuple[str, ...]
    dataset: str
    protocol: str
    families: tuple[Family, ...]

    @property
    def heading(self) -> str:
        """The runs, the data set and the protocol, as a heading."""
        return f"{', '.join(self.runs)} · data {self.dataset} · protocol {self.protocol}"

    def _repr_html_(self) -> str:
        """Return the comparison as HTML for a notebook."""
        tables = [table for family in self.families for table in tables_of(family)]
        return html.block([html.paragraph(self.heading), *map(html.render, tables)])


# -- tables ------------------------------------------------------------------------------------------------------------


def tables_of(family: Family, *, all_pairs: bool = False) -> list[Table]:
    """Return the tables of a family: its means, the wins and losses of pairs, and the differences of pairs.

    Args:
        family: The methods under one noise by one metric.
        all_pairs: Whether to show every pair. If not, and if there are many, only pairs with the best method are shown.

    Returns:
        Three tables, or the means alone if there are no pairs.
    """
    if not family.pairs:
        return [replace(_means(family), notes=tuple(sentences(family)))]
    shown = pairs_shown(family, all_pairs=all_pairs)
    hidden = len(family.pairs) - len(shown)
    more = [f"… and {hidden} more pairs (`mdnbench compare --all-pairs` shows them)"] if hidden else []
    return [_means(family), _records(family), replace(_pairs(family, shown), notes=(*more, *sentences(family)))]


def pairs_shown(family: Family, *, all_pairs: bool = False) -> list[Pair]:
    """Return every pair, or those with the best method if there are many."""
    best = family.means[0].method
    return [
        pair for pair in family.pairs if all_pairs or len(family.pairs) <= SHOWN or best in (pair.first, pair.second)
    ]


def _means(family: Family) -> Table:
    """Return the table of the means with their intervals, numbered, best first."""
    columns = (Column("#"), words("Method"), Column("Mean", digits=family.column.digits), Column("95 %"),
               Column("Cells"))  # fmt: skip
    rows = [
        [number, mean.method, mean.mean, numbers.interval(mean.low, mean.high, family.column.digits),
         mean.cells + mean.infinite]
        for number, mean in enumerate(family.means, start=1)
    ]  # fmt: skip
    return Table.of(_caption(family), columns, rows)


def _records(family: Family) -> Table:
    """Return the table of how often each method won, tied and lost against each other one, over the cells."""
    names = [mean.method for mean in family.means]
    against = [Column(f"vs {number}") for number in range(1, len(names) + 1)]
    rows = [
        [number, name, *(family.record(name, other) or "·" for other in names)]
        for number, name in enumerate(names, start=1)
    ]
    return Table.of(f"{_caption(family)} · in pairs", (Column("#"), words("Wins/ties/losses"), *against), rows)


def _pairs(family: Family, shown: Sequence[Pair]) -> Table:
    """Return the table of the differences of pairs with their intervals.

    It has p-values only if a difference can be significant at all with this number of images.
    """
    digits = family.column.digits + 1
    columns = (words("First"), words("Second"), Column("Difference", digits=digits, signed=True), Column("95 %"),
               Column("p (Holm)"), Column("Detectable", digits=digits))  # fmt: skip
    rows = []
    for pair in shown:
        interval = numbers.interval(pair.low, pair.high, digits, signed=True)
        known = pair.p_holm if family.testable else None
        star = " *" if pair.significant else ""
        detectable = pair.detectable if family.testable else None
        rows.append([pair.first, pair.second, pair.difference, interval, numbers.p_value(known) + star, detectable])
    return Table.of(f"{_caption(family)} · differences", columns, rows)


def _caption(family: Family) -> str:
    return f"{family.noise} · {family.column.title}"


# -- sentences ---------------------------------------------------------------------------------------------------------


def sentences(family: Family) -> list[str]:
    """Return what a reader must know to judge the numbers of a family, in plain words."""
    return [*(f"{method} has no score here." for method in family.missing), *_on_trust(family)]


def _on_trust(family: Family) -> list[str]:
    if family.images < 2:
        return ["One image is too few for intervals and tests."]
    seeds = counted(family.seeds, "seed")
    said = f"The intervals (95 %) are over {family.images} images, each with {seeds}."
    if family.images < FEW_IMAGES:
        covered = max((least, share) for least, share in bootstrap.COVERAGE.items() if least <= family.images)[1]
        said = f"{family.images} images are few. {said} Of so few, about {covered} % hold the true mean, not 95."
    partial = [
        f"{mean.method} has a finite score on {mean.images} of {family.images} images: its mean, and the differences "
        "to it, are over these alone."
        for mean in family.means
        if 0 < mean.images < family.images
    ]
    return [said, *partial, *(_on_pairs(family) if family.pairs else ())]


def _on_pairs(family: Family) -> Iterator[str]:
    many = sum(pair.p is not None for pair in family.pairs)
    if untested := len(family.pairs) - many:
        yield f"Not tested, for lack of two images with finite scores: {untested} of {len(family.pairs)} differences."
    if not many:
        return
    count = f"{family.images} images and {counted(many, 'comparison')}"
    if not family.testable:
        least = numbers.p_value(paired.smallest_p(family.images, many))
        yield f"With {count} no difference, however large, can be significant: p is never below {least}."
        return
    if family.detectable is not None:
        yield (
            f"With {count}, a true difference of {_span(family, family.detectable)} would be significant four times "
            "out of five by a t-test; the signed-rank test sees a little less, and smaller ones may well go unnoticed."
        )
    if open_ones := sum(pair.p is not None and not pair.significant for pair in family.pairs):
        yield f"Not significant: {open_ones} of {many} differences, which does not make them none."
    if torn := sum(pair.significant and _holds_zero(pair) for pair in family.pairs):
        yield (
            f"Significant, though the interval of the mean holds 0: {torn} of {many}. The test goes by ranks: most "
            "images say one thing, and a few speak strongly for the other."
        )


def _holds_zero(pair: Pair) -> bool:
    return pair.low is not None and pair.high is not None and pair.low <= 0 <= pair.high


def _span(family: Family, ends: tuple[float, float]) -> str:
    low, high = map(family.column.show, ends)
    unit = f" {family.column.unit}" if family.column.unit else ""
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}, depending on the pair,"
