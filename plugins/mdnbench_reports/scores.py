"""The scores of a run as arrays over noise, case and method, and its cases in order, hardest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mdnbench.results import tables
from mdnbench.results.table import Column

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.store import CellRow

    Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

SECONDS = Column("seconds", "lower", digits=2, heading="seconds")


@dataclass(frozen=True, slots=True)
class ReportCase:
    """A case of the report: an image and the index of its noise seed."""

    image: str
    seed: int


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a run.

    Attributes:
        columns: The metrics' columns.
        noises: The noises, as canonical texts.
        methods: The methods, as canonical texts.
        cases: The cases.
        values: For each metric, and for `seconds`, a float64 array (noises, cases, methods). NaN stands for a missing
            value.
        problems: The status and reason of each cell that is not ok, by the same indices.
        idle: The methods that return the noisy image unchanged.

    """

    columns: tuple[Column, ...]
    noises: tuple[str, ...]
    methods: tuple[str, ...]
    cases: tuple[ReportCase, ...]
    values: Mapping[str, Floats]
    problems: Mapping[tuple[int, int, int], tuple[str, str]]
    idle: frozenset[str]

    def worst_first(self, noise: int) -> list[int]:
        """Return the indices of the cases under a noise, hardest first.

        The order is that of the mean over methods of the first metric that has values.
        """
        column = next((each for each in self.columns if np.isfinite(self.values[each.name][noise]).any()), None)
        if column is None:
            return list(range(len(self.cases)))
        badness = _row_means(self.values[column.name][noise]) * (1 if column.direction == "lower" else -1)
        return [int(index) for index in np.argsort(-badness, kind="stable")]  # NaN goes last

    def line(self, metric: str, noise: int, method: int) -> Floats:
        """Return the finite values of a method under a noise, one per case that has one."""
        values: Floats = self.values[metric][noise, :, method]
        return values[np.isfinite(values)]


def of(results: Results) -> Scores:
    """Return the scores of a run, read in one pass over its cells."""
    facts = results.run.facts
    cases = tuple(ReportCase(image, seed) for image in facts.images for seed in range(facts.seeds))
    noises, methods = tuple(facts.noises), tuple(facts.methods)
    columns = tables.columns_of(results.run)
    shape = (len(noises), len(cases), len(methods))
    values = {name: np.full(shape, np.nan) for name in (*(column.name for column in columns), SECONDS.name)}
    problems, changing = {}, set()
    for place, row in placed(results, noises, cases, methods):
        for column in columns:
            values[column.name][place] = _number(row.value(column.name))
        values[SECONDS.name][place] = _number(row.seconds)
        if row.status != "ok":
            problems[place] = (row.status, row.reason)
        if row.output_digest != row.noisy_digest:
            changing.add(row.method)
    idle = frozenset(methods) - changing
    return Scores(columns, noises, methods, cases, values, problems, idle)


def placed(
    results: Results, noises: Sequence[str], cases: Sequence[ReportCase], methods: Sequence[str]
) -> Iterator[tuple[tuple[int, int, int], CellRow]]:
    """Yield the cells of a run with their indices (noise, case, method)."""
    at_noise, at_method = _index(noises), _index(methods)
    at_shot = {(case.image, case.seed): index for index, case in enumerate(cases)}
    for row in results.rows():
        yield (at_noise[row.noise], at_shot[row.image, row.seed], at_method[row.method]), row


def _index(names: Sequence[str]) -> dict[str, int]:
    """Return the index of each name."""
    return {name: index for index, name in enumerate(names)}


def _number(value: float | None) -> float:
    """Return a value as a number; NaN if there is none."""
    return float("nan") if value is None else value


def _row_means(values: Floats) -> Floats:
    """Return the mean of each row over its finite values; NaN, without a warning, if there are none."""
    finite = np.isfinite(values)
    counts = finite.sum(axis=1)
    sums = np.where(finite, values, 0.0).sum(axis=1)
    means: Floats = np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)
    return means
